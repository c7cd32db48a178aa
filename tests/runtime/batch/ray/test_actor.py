"""An actor, without Ray: what it answers, what it does not see, and what it refuses to be."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fmtool import __version__
from fmtool import bundle as bundles
from fmtool.errors import ParityError
from runtime.batch.ray.actor import Actor, _pin
from runtime.batch.ray.messages import Asked, Opened, Unseen
from runtime.batch.ray.ship import pack
from runtime.batch.wire import Answered, Broken, Refused
from runtime.batch.worker import Job, Setup
from runtime.engines import selftest
from runtime.engines.choose import Wish
from runtime.ledger.content import content_digest
from runtime.predict import Predictor
from runtime.prepare import Reading

SETUP = Setup(Path("nowhere"), Reading(), Path(), True)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with bundles.open() as bundle:
        yield Asked(
            Wish(engine="openvino", device="cpu", precision="float32"),
            SETUP,
            bundle.digest,
            __version__,
        )


@pytest.fixture
def affinity():
    before = os.sched_getaffinity(0)
    yield before
    os.sched_setaffinity(0, before)


def demo():
    with bundles.open() as bundle:
        return pack(bundle)


def test_groups_of_cores_are_taken_in_turn(affinity):
    there = sorted(affinity)
    _pin(1, 1)
    assert os.sched_getaffinity(0) == {there[1 % len(there)]}
    os.sched_setaffinity(0, affinity)
    _pin(len(there), 3)
    assert os.sched_getaffinity(0) == affinity


def test_it_answers_as_a_predictor_does(asked, affinity, heads, tmp_path):
    pytest.importorskip("openvino")
    actor = Actor("n1", asked, demo, 1, 1)
    opened = actor.open()
    assert isinstance(opened, Opened)
    assert (opened.choice.engine, opened.choice.device, opened.choice.precision) == (
        "openvino",
        "cpu",
        "float32",
    )
    assert opened.choice.auto == ()
    head = heads / "head-1"
    said = actor.answer(Job(1, head, "of another node", content_digest(head)))
    assert isinstance(said, Answered)
    with Predictor(wish=asked.wish) as predictor:
        alone = predictor.predict(head).to_dict()
    np.testing.assert_allclose(said.data["embedding"], alone["embedding"], rtol=1e-4, atol=1e-6)
    assert said.data.keys() == alone.keys()
    assert any(name.startswith("maps/") for name in said.pictures)
    assert "brain/axial.jpg" in said.pictures

    assert actor.answer(Job(2, tmp_path / "absent.nii", "s", "c" * 64)) == Unseen(
        "No such file or directory"
    )
    lost = actor.answer(Job(2, tmp_path / "absent.nii", "", None))
    assert isinstance(lost, Refused)
    assert not lost.passing
    other = actor.answer(Job(3, head, "s", "c" * 64))
    assert isinstance(other, Refused)
    assert other.passing
    assert not list((tmp_path / "cache" / "fmtool" / "bundles").glob("*.zip"))


def test_what_one_node_left_to_chance_another_may_replace(asked, affinity, monkeypatch):
    """A precision that `auto` took and that fails the self-test gives way, as on one machine."""
    pytest.importorskip("openvino")
    tried = []

    def verify(engine, bundle):
        tried.append(engine.precision)
        if engine.precision == "int8":
            raise ParityError("too coarse")

    monkeypatch.setattr(selftest, "verify", verify)
    monkeypatch.setattr(selftest, "open_bundle", lambda b, choice, say: Stub(choice.precision))
    words = replace(asked, wish=replace(asked.wish, precision="int8"))
    said = Actor("n1", words, demo, 1, 0).open()
    assert isinstance(said, Broken)
    opened = Actor("n1", replace(words, auto=("precision",)), demo, 1, 0).open()
    assert isinstance(opened, Opened)
    assert (opened.choice.precision, opened.choice.auto, opened.words) == (
        "int8",
        ("precision",),
        "float32",
    )
    assert tried == ["int8", "int8", "float32"]


class Stub:
    """An engine that only knows its precision."""

    def __init__(self, precision):
        self.precision = precision

    def describe(self):
        return self.precision

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_another_version_or_engine_is_said_with_the_node_s_name(asked, affinity):
    said = Actor("n1", replace(asked, version="0.0.1"), demo, 1, 0).open()
    assert isinstance(said, Broken)
    assert said.sentence.startswith("node n1 cannot be used: it has fmtool")
    said = Actor(
        "n1", replace(asked, wish=Wish(engine="openvino", device="cuda")), demo, 1, 0
    ).open()
    assert isinstance(said, Broken)
    assert "node n1" in said.sentence


def test_a_work_folder_of_another_user_is_refused(asked, affinity, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 1 << 20)  # so that the folder is not its own
    said = Actor("n1", asked, demo, 1, 0).open()
    assert isinstance(said, Broken)
    assert "remove it" in said.sentence
