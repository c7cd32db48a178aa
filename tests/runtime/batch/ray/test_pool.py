"""The pool's logic on a cluster that is made up: deaths, arrivals, blind nodes, and who waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.batch.ray import pool as pools
from runtime.batch.ray.grid import Lost
from runtime.batch.ray.layout import Node
from runtime.batch.ray.messages import Asked, Opened, Unseen
from runtime.batch.ray.pool import ClusterPool
from runtime.batch.wire import Answered, Broken, Refused
from runtime.batch.worker import Job, Setup
from runtime.engines.choose import Choice, Wish
from runtime.prepare import Reading

SETUP = Setup(Path("b.fmtool"), Reading(), Path(), False)
ASKED = Asked(Wish(engine="openvino", device="cpu", precision="float32"), SETUP, "b" * 64, "0")


def node(name, cpus=1):
    return Node(f"id-{name}", name, cpus, 0, 0)


class Made:
    """A grid whose actors do at once what `does` says; a promise is a list of one thing."""

    def __init__(self, *names):
        self.alive = [node(name) for name in names]
        self.opening = {}
        self.does = lambda name, job: Answered({"by": name})
        self.killed = []
        self.begun = []

    def nodes(self):
        return list(self.alive)

    def start(self, slot, asked):
        assert asked == ASKED
        return [slot.node.name, slot.index, len(self.begun)]

    def open(self, actor):
        found = self.opening.get(
            actor[0], Opened(Choice("openvino", "cpu", "float32", ""), "OpenVINO")
        )
        return Promise(found)

    def answer(self, actor, job):
        self.begun.append((actor[0], job.item))
        return Promise(self.does(actor[0], job))

    def kept(self, promises, seconds):
        return [promise for promise in promises if promise.what is not None]

    def take(self, promise):
        if isinstance(promise.what, Lost):
            raise promise.what
        return promise.what

    def kill(self, actor):
        self.killed.append(actor[0])


class Promise:
    def __init__(self, what):
        self.what = what


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def made():
    return Made("a", "b")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def said():
    return []


@pytest.fixture
def pool(made, clock, said):
    return ClusterPool(made, ASKED, said.append, clock)


def submit(pool, count):
    for item in range(1, count + 1):
        pool.submit(Job(item, Path(f"{item}.nii"), "", "c" * 64))


def steps(pool, clock, count=20, seconds=pools.LOOK_S):
    replies = []
    for _ in range(count):
        replies += pool.step(0.0)
        clock.now += seconds
    return replies


def test_every_scan_has_one_reply_and_both_nodes_work(pool, made, clock):
    assert pool.most == 2
    submit(pool, 9)
    replies = steps(pool, clock)
    assert sorted(item for item, _ in replies) == list(range(1, 10))
    assert {reply.data["by"] for _, reply in replies} == {"a", "b"}
    assert pool.most == 4


def test_an_actor_that_dies_costs_its_scan_an_attempt_and_is_replaced(pool, made, clock):
    made.does = lambda name, job: Lost("ended") if job.item == 2 else Answered({"by": name})
    submit(pool, 5)
    replies = dict(steps(pool, clock))
    assert isinstance(replies[2], Refused)
    assert replies[2].passing
    assert "2.nii" in replies[2].sentence
    assert all(isinstance(replies[item], Answered) for item in (1, 3, 4, 5))
    assert len(made.killed) == 1
    made.does = lambda name, job: Answered({"by": name})
    submit(pool, 2)
    assert len(steps(pool, clock)) == 2


def test_a_node_that_goes_gives_back_what_it_had(pool, made, clock):
    made.does = lambda name, job: None if name == "a" else Answered({"by": name})
    submit(pool, 4)
    assert len(steps(pool, clock, 4)) == 3
    made.alive = made.alive[1:]
    ((item, reply),) = steps(pool, clock, 4)
    assert isinstance(reply, Refused)
    assert reply.passing
    assert "node a" in reply.sentence
    assert made.killed == ["a"]
    pool.submit(Job(item, Path("again.nii"), "", "c" * 64))
    ((_, reply),) = steps(pool, clock, 4)
    assert reply.data == {"by": "b"}


def test_a_late_answer_of_a_lost_actor_is_not_heard(pool, made, clock):
    slow = Promise(None)
    made.answer = lambda actor, job: slow
    made.alive = made.alive[:1]
    submit(pool, 1)
    assert steps(pool, clock, 3) == []
    made.alive = []
    assert len(steps(pool, clock, 2)) == 1
    slow.what = Answered({"by": "a"})
    made.alive = [node("c")]
    assert steps(pool, clock, 3) == []


def test_a_node_that_comes_gets_actors(pool, made, clock, said):
    made.does = lambda name, job: Answered({"by": name}) if name == "c" else None
    submit(pool, 6)
    assert steps(pool, clock, 3) == []
    made.alive.append(node("c", cpus=2))
    assert len(steps(pool, clock)) == 4
    assert pool.most == 8
    assert "node c: 2 actors" in said


def test_a_scan_that_a_node_cannot_see_goes_to_another_without_an_attempt(pool, made, clock, said):
    made.does = lambda name, job: Unseen("No such file") if name == "a" else Answered({"by": name})
    submit(pool, 5)
    replies = dict(steps(pool, clock))
    assert [replies[item].data for item in range(1, 6)] == [{"by": "b"}] * 5
    assert sum("node a does not see" in sentence for sentence in said) == 1


def test_a_scan_that_no_node_sees_fails_for_good_and_names_the_nodes(pool, made, clock):
    made.does = lambda name, job: (
        Unseen("No such file") if job.item == 1 else Answered({"by": name})
    )
    submit(pool, 3)
    replies = dict(steps(pool, clock))
    assert isinstance(replies[1], Refused)
    assert not replies[1].passing
    assert "a: No such file; b: No such file" in replies[1].sentence
    assert isinstance(replies[2], Answered)
    assert sorted(name for name, item in made.begun if item == 1) == ["a", "b"]
    # The same scan in a later command is asked for anew.
    made.does = lambda name, job: Answered({"by": name})
    submit(pool, 1)
    assert isinstance(dict(steps(pool, clock))[1], Answered)


def test_a_scan_no_open_node_sees_does_not_wait_for_ever_for_one_that_never_opens(
    pool, made, clock
):
    made.does = lambda name, job: Unseen("No such file")
    made.opening["b"] = None
    made.open = lambda actor: Promise(
        None if actor[0] == "b" else Opened(Choice("openvino", "cpu", "float32", ""), "OpenVINO")
    )
    submit(pool, 1)
    assert steps(pool, clock, 3) == []
    ((_, reply),) = steps(pool, clock, int(pools.WAIT_S / pools.LOOK_S) + 2)
    assert isinstance(reply, Refused)


def test_a_scan_that_the_nodes_now_gone_did_not_see_waits_for_others(pool, made, clock):
    made.alive = made.alive[:1]
    made.does = lambda name, job: Unseen("No such file")
    made.nodes = lambda: [node("a"), node("late")] if clock.now < 5 else made.alive
    made.open = lambda actor: Promise(
        None if actor[0] == "late" else Opened(Choice("openvino", "cpu", "float32", ""), "OpenVINO")
    )
    submit(pool, 1)
    assert steps(pool, clock, 2) == []
    made.alive = []
    assert steps(pool, clock, 4) == []
    made.alive = [node("c")]
    made.does = lambda name, job: Answered({"by": name})
    ((_, reply),) = steps(pool, clock, 4)
    assert reply.data == {"by": "c"}


def test_a_node_that_cannot_compute_is_left_out_and_said_once(pool, made, clock, said):
    made.opening["a"] = Broken("node a cannot be used: it has fmtool 0")
    submit(pool, 4)
    replies = steps(pool, clock)
    assert {reply.data["by"] for _, reply in replies} == {"b"}
    assert len(replies) == 4
    assert said.count("node a cannot be used: it has fmtool 0") == 1


def test_an_actor_that_never_opens_is_not_started_for_ever(pool, made, clock, said):
    made.opening["a"] = Lost("ended (ActorDiedError)")
    submit(pool, 2)
    assert len(steps(pool, clock, 40)) == 2
    assert made.killed.count("a") == 3
    assert sum("node a cannot be used" in sentence for sentence in said) == 1


@pytest.mark.parametrize(("fate", "limit"), [("gone", pools.WAIT_S), ("busy", pools.START_S)])
def test_without_a_node_the_batch_ends_after_a_while_in_one_sentence(
    pool, made, clock, fate, limit
):
    submit(pool, 2)
    if fate == "gone":
        made.alive = []
    else:
        made.open = lambda actor: Promise(None)
    assert steps(pool, clock, int(limit / 2) - 1, 2.0) == []
    replies = steps(pool, clock, 3, 2.0)
    assert isinstance(replies[0][1], Broken)
    assert "what is done is kept" in replies[0][1].sentence


def test_a_node_in_time_goes_on(pool, made, clock):
    made.alive = []
    submit(pool, 2)
    assert steps(pool, clock, 20) == []
    made.alive = [node("c")]
    assert len(steps(pool, clock, 30)) == 2


def test_at_the_end_every_actor_is_ended(pool, made, clock):
    made.does = lambda name, job: None
    submit(pool, 1)
    steps(pool, clock, 2)
    pool.close()
    assert sorted(made.killed) == ["a", "b"]
