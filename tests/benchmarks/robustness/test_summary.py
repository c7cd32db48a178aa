"""Shifts, their shares and the verdicts, from rows whose answer is known."""

import json

import numpy as np
import pytest

from benchmarks.robustness import summary
from benchmarks.robustness.measure import HeadOutputs, Output
from benchmarks.robustness.perturbations import ALL, Perturbation
from runtime.trust.robustness import sentences

OUTPUTS = [Output("age", "years", 5.0), Output("sex", "probability", None)]
FACTS = {"bundle": {"name": "toy", "digest": "ab" * 32}, "engine": "toy", "fmtool": "0"}


def row(head, name, age, sex=0.5, x=0.0, volume=1000.0, warned=()):
    embedding = np.array([x, 0.0], np.float32)
    return HeadOutputs(head, name, {"age": age, "sex": sex}, embedding, volume, warned=warned)


def perturbation(name, judged):
    return Perturbation(name, "pose", lambda head, brain, generator: head, judged)


@pytest.fixture
def found():
    rows = [row("raw/a", "", 30.0), row("raw/b", "", 40.0, x=4.0), row("raw/c", "", 50.0, x=8.0)]
    rows += [
        row("raw/a", "turned", 30.2, x=0.4, volume=1010.0),
        row("raw/b", "turned", 39.0, 0.6, x=4.8),
        row("raw/c", "turned", 50.4, x=8.0),
        row("raw/a", "coarse", 32.0, x=2.0, warned=("sharpness",)),
        HeadOutputs("raw/b", "coarse", refused="too coarse"),
    ]
    tried = [perturbation("turned", True), perturbation("coarse", False)]
    return summary.summary(rows, OUTPUTS, FACTS, {"X": "absent"}, tried)


def test_medians_shares_and_refusals(found):
    turned, coarse = found["perturbations"]
    assert turned["outputs"]["age"]["median"] == pytest.approx(0.4)
    assert turned["outputs"]["age"]["max"] == pytest.approx(1.0)
    assert turned["outputs"]["age"]["share"] == pytest.approx(0.4 / 5.0)
    assert turned["outputs"]["sex"]["share"] is None
    assert found["between_subjects"] == pytest.approx(4.0)
    assert turned["embedding"]["median"] == pytest.approx(0.4 / 4.0, rel=1e-5)
    assert turned["brain_volume_percent"]["max"] == pytest.approx(1.0)
    assert (coarse["heads"], coarse["refused"], coarse["warned"]) == (2, 1, 1)
    assert (turned["warned"], found["warned"]) == (0, 0)
    assert coarse["outputs"]["age"]["median"] == pytest.approx(2.0)


def test_other_tools_masks_are_not_judged_by_the_checks():
    rows = [row("raw/a", "", 30.0), row("raw/a", "a tool", 31.0, warned=None)]
    found = summary.summary(rows, OUTPUTS, FACTS, {}, [])
    assert found["perturbations"][0]["warned"] is None
    assert summary.markdown(found).splitlines()[2].endswith("| - | 0 of 1 |")


def test_the_verdict_judges_by_the_judged_alone(found):
    age, sex = summary.verdicts(found)
    assert "met: turned moves it most, by 8.0%" in age
    assert "holds no cross-validated error" in sex
    found["bar"] = 0.05
    assert "MISSED: turned" in summary.verdicts(found)[0]


def test_the_table_names_every_perturbation(found):
    lines = summary.markdown(found).splitlines()
    assert len(lines) == 6
    assert lines[2].startswith("| turned * | 0.4 (8.0%), at most 1 |")
    assert lines[3].endswith("| 1 of 2 | 1 of 2 |")
    assert lines[5] == "Heads warned of as they are: 0 of 3."


def test_the_sentences_say_what_moves_an_output_most(found):
    said = sentences(json.loads(json.dumps(found)))
    assert "toy on 3 heads of the sets raw" in said[0]
    assert "at most 0.4 years (turned, 8% of its cross-validated error)" in said[1]
    assert "by 2 years (coarse, 40% of its cross-validated error)" in said[1]
    assert said[-2:] == [
        "Refused by a check: coarse 1 of 2.",
        "Heads warned of where an output moves by more than 10% of its error: coarse 1 of 2; "
        "as they are 0.",
    ]


def test_the_picture_is_drawn(found, tmp_path):
    summary.plot(found, tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_a_single_head_has_no_distance_between_subjects():
    rows = [row("raw/a", "", 30.0), row("raw/a", "turned", 31.0)]
    found = summary.summary(rows, OUTPUTS, FACTS, {}, [perturbation("turned", True)])
    assert found["perturbations"][0]["embedding"] is None
    assert "| - |" in summary.markdown(found)


def test_stages_in_their_own_rows():
    parts = [
        ("base", row("raw/a", "", 30.0)),
        ("whole", row("raw/a", "turned", 31.0)),
        ("bias", row("raw/a", "turned", 30.5)),
    ]
    lines = summary.by_stage(parts, OUTPUTS).splitlines()
    assert lines[2].startswith("| turned | whole | 1 (20.0%)")
    assert lines[3].startswith("| turned | bias | 0.5 (10.0%)")


def test_every_perturbation_has_its_own_name():
    assert len({one.name for one in ALL}) == len(ALL)
