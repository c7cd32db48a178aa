"""The command's side of a cluster, with a driver process that is made up."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from fmtool import bundle as bundles
from fmtool.errors import CapabilityError, UsageError
from runtime.batch.ray import driver
from runtime.batch.ray.cluster import Cluster
from runtime.batch.ray.layout import Node
from runtime.batch.ray.messages import Asked, Opened, Room, Said
from runtime.batch.stop import SIGNALS, Stop, StoppedEarly
from runtime.batch.wire import Answered, Broken
from runtime.batch.worker import Job, Setup
from runtime.engines.choose import Choice, Wish
from runtime.prepare import Reading

OPENED = Opened(Choice("openvino", "cpu", "float32", ""), "OpenVINO")


@pytest.fixture
def said():
    return []


@pytest.fixture
def opened(monkeypatch, said):
    """`opened(drive, stop)`: the staff that a made-up driver gives."""

    def make(drive, stop=None):
        monkeypatch.setattr(driver, "drive", drive)
        bundle = bundles.open()
        setup = Setup(bundle.path, Reading(), Path(), False)
        cluster = Cluster("auto", bundle, Wish(), said.append)
        return cluster.open(setup, stop or Stop())

    return make


def echo(pipe, address, asked):
    """Answers each scan with its item, after a remark; 143 if a signal can be heard here."""
    deaf = signal.pthread_sigmask(signal.SIG_BLOCK, ()) >= set(SIGNALS)
    pipe.send(OPENED)
    pipe.send(Room(5))
    while (job := pipe.recv()) is not None:
        pipe.send(Said(f"{job.item}"))
        pipe.send((job.item, Answered({"deaf": deaf, "engine": asked.wish.engine})))


def dead(pipe, address, asked):
    pipe.send(OPENED)
    pipe.recv()
    os._exit(1)


def refuses(pipe, address, asked):
    pipe.send(Broken("no cluster there"))


def slow(pipe, address, asked):
    time.sleep(600)


def next_reply(workers):
    for _ in range(100):
        if (reply := workers.reply(0.1)) is not None:
            return reply
    raise AssertionError("no reply")


def test_scans_go_to_the_driver_and_come_back(opened, said):
    with opened(echo) as staff:
        assert (staff.engine, staff.precision) == ("openvino", "float32")
        with staff.hire(3) as workers:
            for item in (1, 2, 3):
                workers.submit(Job(item, Path("a.nii"), ""))
            replies = [next_reply(workers) for _ in range(3)]
            assert [item for item, _ in replies] == [1, 2, 3]
            assert replies[0][1].data == {"deaf": True, "engine": "auto"}
            assert workers.most == 5
    assert said[1:] == ["1", "2", "3"]
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(SIGNALS)


def test_a_driver_that_dies_is_a_cluster_that_is_gone(opened):
    with opened(dead) as staff, staff.hire(1) as workers:
        workers.submit(Job(1, Path("a.nii"), ""))
        _, reply = next_reply(workers)
        assert isinstance(reply, Broken)
        assert "what is done is kept" in reply.sentence
        workers.submit(Job(2, Path("a.nii"), ""))
        assert isinstance(next_reply(workers)[1], Broken)


def test_a_cluster_that_cannot_be_joined_is_one_sentence(opened):
    with pytest.raises(CapabilityError, match="no cluster there"), opened(refuses):
        pass


def test_a_signal_ends_the_joining(opened):
    stop = Stop()
    stop.signal = signal.SIGTERM
    with pytest.raises(StoppedEarly), opened(slow, stop):
        pass


@pytest.mark.parametrize(
    "words", [("head", "auto", "auto"), ("auto", "best", "auto"), ("auto", "auto", "cuda:1")]
)
def test_wrong_words_start_nothing(words):
    address, engine, device = words
    with bundles.open() as bundle, pytest.raises(UsageError):
        Cluster(address, bundle, Wish(engine=engine, device=device), print)


class Nodes:
    """A grid of nodes that say what they were told to when an actor opens."""

    def __init__(self, **says):
        self.says = says
        self.tried = []

    def nodes(self):
        return [Node(name, name, 1, int(name.startswith("gpu")), 0) for name in self.says]

    def start(self, slot, asked):
        self.tried.append((slot.node.name, slot.gpu))
        return slot.node.name

    def open(self, actor):
        return actor

    def kept(self, promises, seconds):
        return promises if self.says[promises[0]] else []

    def take(self, promise):
        return self.says[promise]

    def kill(self, actor):
        pass


def asked(device):
    setup = Setup(Path("b"), Reading(), Path(), False)
    return Asked(Wish(engine="auto", device=device, precision="auto"), setup, "b" * 64, "0")


def test_the_first_node_that_can_says_what_all_compute_with(said):
    gpu = Opened(Choice("tensorrt", "cuda:0", "float16", ""), "TensorRT")
    grid = Nodes(cpu1=OPENED, gpu1=Broken("no driver"), gpu2=gpu)
    assert driver.settle(grid, asked("auto"), said.append) == gpu
    assert grid.tried == [("gpu1", 1.0), ("gpu2", 1.0)]
    assert said == ["no driver"]
    grid = Nodes(busy=None, cpu1=OPENED)
    assert driver.settle(grid, asked("cpu"), said.append) == OPENED
    grid = Nodes(gpu1=OPENED)
    assert driver.settle(grid, asked("cpu"), said.append) == OPENED
    assert grid.tried == [("gpu1", 0.0)]


@pytest.mark.parametrize("says", [{}, {"a": Broken("no engine")}, {"a": None}])
def test_without_a_node_that_can_nothing_is_begun(says, said):
    with pytest.raises(CapabilityError, match="no node of the cluster can be used"):
        driver.settle(Nodes(**says), asked("auto"), said.append)
