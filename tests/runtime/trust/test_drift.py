"""Made streams of answers: what is told of those that drifted, and silence over the others."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from runtime.trust import drift

NAMES = ("noise", "tilt", "sharpness")


def answer(rng, shift=0.0, name="noise", p=None):
    checks = {
        "noise": float(np.exp(rng.normal(0.5, 0.2))),
        "tilt": float(rng.normal(-2.0, 5.0)),
        "sharpness": float(np.exp(rng.normal(1.0, 0.1))),
    }
    checks[name] *= np.exp(shift)
    return {
        "values": {},
        "novelty_p": float(rng.uniform()) if p is None else p,
        "quality": [{"name": n, "value": v} for n, v in checks.items()],
    }


def checks_of(result):
    return {check["name"]: check["value"] for check in result["quality"]}


@pytest.fixture
def known():
    rng = np.random.default_rng(0)
    errors = {"age": list(rng.normal(0.0, 5.0, 20))}
    return drift.reference([checks_of(answer(rng)) for _ in range(20)], errors, 20)


def test_no_drift_is_hardly_ever_told():
    told = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        known = drift.reference([checks_of(answer(rng)) for _ in range(20)], {}, 20)
        stream = [answer(rng) for _ in range(200)]
        told += any(drift.look(known, stream[:n]).drifted for n in range(30, 200, 5))
    assert told <= 1


@pytest.mark.parametrize("errors", [{"age": [0.0, 1.0] * 10}, {}], ids=["of a value", "of a class"])
def test_a_head_that_knows_the_parent_s_cohort_alone_is_no_drift(errors):
    rng = np.random.default_rng(3)
    stream = [answer(rng, p=0.007) for _ in range(30)]
    for each in stream:
        each["values"] = {"age": {"novelty_p": float(rng.uniform())}, "sex": {"novelty_p": 0.007}}
    known = drift.reference([checks_of(answer(rng)) for _ in range(20)], errors, 20)
    assert drift.look(known, stream).drifted == []
    for each in stream:
        each["values"]["age"]["novelty_p"] = 0.007
    assert drift.look(known, stream).drifted == ["novelty"]


@pytest.mark.parametrize(("name", "shift"), [("noise", 0.8), ("noise", -0.8), ("sharpness", 0.4)])
def test_a_change_is_told_within_thirty(known, name, shift):
    rng = np.random.default_rng(1)
    stream = [answer(rng) for _ in range(50)] + [answer(rng, shift, name) for _ in range(30)]
    found = drift.look(known, stream)
    assert list(found.drifted) == [name]
    assert found.score > 1.0
    assert found.sentence().startswith("The last 30 answers no longer look like")
    assert name in found.sentence()


def test_strange_brains_are_told(known):
    rng = np.random.default_rng(1)
    found = drift.look(known, [answer(rng, p=0.03) for _ in range(30)])
    assert list(found.drifted) == [drift.NOVELTY]


def test_late_labels_are_told(known):
    rng = np.random.default_rng(1)
    stream = [answer(rng) for _ in range(30)]
    found = drift.look(known, stream, {"age": [12.0] * 30, "unheard": [9.0] * 30})
    assert list(found.drifted) == ["error of age"]


def test_what_never_varied_is_not_infinitely_strange():
    constant = [{"voxel": 1.0}] * 20
    known = drift.reference(constant, {}, 20)
    stream = [{"values": {}, "quality": [{"name": "voxel", "value": v}]} for v in (1.0, 1.0005)]
    assert not drift.look(known, stream * 15).drifted
    other = [{"values": {}, "quality": [{"name": "voxel", "value": 1.5}]}]
    assert drift.look(known, other * 30).drifted == ["voxel"]


def test_too_few_answers_say_nothing(known):
    rng = np.random.default_rng(0)
    few = [answer(rng) for _ in range(drift.FEWEST - 1)]
    assert drift.look(known, [*few, {"error": "refused"}]) is None
    assert drift.look(known, [*few, answer(rng)]).answers == drift.FEWEST
    assert drift.look(replace(known, subjects=9), [answer(rng) for _ in range(30)]) is None


def test_it_is_plain_data(known):
    assert drift.SiteReference.from_dict(json.loads(json.dumps(known.to_dict()))) == known
    with pytest.raises((KeyError, TypeError, ValueError)):
        drift.SiteReference.from_dict({"subjects": 3, "checks": {"a": [1]}, "errors": {}})
