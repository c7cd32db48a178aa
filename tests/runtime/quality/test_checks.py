"""Verdicts, each at its border, and the ranges that a bundle brings."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from runtime import quality
from runtime.quality import KINDS, Check
from runtime.quality.check import numbers
from runtime.scan.frame import thick

SCAN = {"spacing": [1.0, 1.0, 1.0], "warnings": []}
PREPARED: dict[str, Any] = {
    "head": "whole",
    "brain_volume_ml": 1300.0,
    "similarity": 0.6,
    "registration_problem": "",
    "mask_at_border": 0.0,
    "flat_end": 8.0,
    "shape": 0.94,
    "edge": 0.45,
    "tilt": 12.0,
    "contrast": 1.7,
    "noise": 3.0,
    "sharpness": 0.6,
    "outliers": 0.5,
    "ghosts": 0.4,
    "slices": 12.0,
    "missing": 0.1,
}


def check(name: str, scan: Any = None, calibration: Any = None, **changes: Any) -> Check:
    found = quality.checks(scan or SCAN, PREPARED | changes, calibration or {})
    (one,) = [c for c in found if c.name == name]
    return one


@pytest.mark.parametrize(
    ("value", "expected", "said"),
    [
        (0.7496, (0.28, 0.7455), "0.750, expected 0.280 to 0.746"),
        (1.7, (1.0, 2.0), "1.70, expected 1.00 to 2.00"),
        (float("inf"), (0.0, 2.0), "inf, expected 0.00 to 2.00"),
        (1.0 + 1e-9, (0.0, 1.0), "1.000000, expected 0.000000 to 1.000000"),
    ],
)
def test_a_value_outside_is_not_printed_as_the_bound(
    value: float, expected: tuple[float, float], said: str
) -> None:
    assert numbers(value, expected, 2) == said


def test_a_usual_head_passes_every_check() -> None:
    found = quality.checks(SCAN, PREPARED, {})
    assert [c.verdict for c in found] == ["ok"] * 16
    assert len({c.name for c in found}) == 16
    assert all(c.sentence.endswith(".") and "{" not in c.sentence for c in found)


@pytest.mark.parametrize(
    ("name", "changes", "verdict", "words"),
    [
        ("Brain volume", {"brain_volume_ml": 800.0}, "warn", "800 mL, expected 900 to 2000"),
        ("Brain volume", {"brain_volume_ml": 375.0}, "refuse", "375 mL"),
        ("Brain volume", {"brain_volume_ml": 2100.0}, "warn", "2100 mL"),
        ("Registration", {"similarity": 0.26}, "warn", "similarity 0.26"),
        ("Registration", {"similarity": 0.05}, "refuse", "similarity 0.05"),
        ("Registration", {"similarity": 0.95}, "warn", "no single person"),
        (
            "Registration",
            {"registration_problem": "too little overlap"},
            "refuse",
            "failed (too little overlap)",
        ),
        ("Registration", {"similarity": float("nan")}, "refuse", "failed"),
        ("Orientation", {"tilt": 40.0}, "warn", "40°, expected 0 to 35"),
        ("Orientation", {"tilt": 90.0}, "refuse", "left and right cannot be trusted"),
        ("T1 contrast", {"contrast": 0.9}, "warn", "0.90, expected 1.10"),
        ("T1 contrast", {"contrast": 0.5}, "refuse", "0.50"),
        ("T1 contrast", {"contrast": -1.1}, "refuse", "another kind of scan"),
        ("T1 contrast", {"contrast": float("nan")}, "refuse", "another kind of scan"),
        ("Signal of the slices", {"slices": 50.0}, "warn", "darker or brighter"),
        ("Signal of the slices", {"slices": 100.0}, "refuse", "fetch the scan again"),
        ("Missing brain", {"missing": 5.0}, "warn", "About 5% of the brain"),
        ("Missing brain", {"missing": 10.0}, "refuse", "before it was defaced"),
        ("Brain at the image's border", {"mask_at_border": 0.01}, "warn", "1 % of the brain"),
        ("Field of view", {"flat_end": 30.0}, "warn", "ends flat"),
        ("Field of view", {"flat_end": 60.0}, "refuse", "ends flat"),
        ("Brain shape", {"shape": 0.88}, "warn", "0.880"),
        ("Brain shape", {"shape": 0.8}, "refuse", "a part is missing"),
        ("Edge of the brain mask", {"edge": 0.8}, "warn", "bright tissue"),
        ("Edge of the brain mask", {"edge": 0.1}, "warn", "darker than fluid"),
        ("Noise", {"noise": 12.0}, "warn", "high"),
        ("Noise", {"noise": 20.0}, "refuse", "high"),
        ("Noise", {"noise": 0.2}, "warn", "next to no noise"),
        ("Sharpness", {"sharpness": 0.35}, "warn", "blurred"),
        ("Sharpness", {"sharpness": None}, "refuse", "blurred"),
        ("Motion ghosts", {"ghosts": 2.0}, "warn", "ghosts of motion"),
        ("Motion ghosts", {"ghosts": None}, "ok", "no air around the head"),
        ("Intensity outliers", {"outliers": 8.0}, "warn", "far too bright"),
    ],
)
def test_an_unusual_head_is_flagged(
    name: str, changes: dict[str, float], verdict: str, words: str
) -> None:
    found = check(name, **changes)
    assert found.verdict == verdict
    assert words in found.sentence


def test_the_bundles_ranges_replace_the_checks_own() -> None:
    calibration = {"brain_volume_ml": [1350, 1700], "similarity": [0.7, 1], "contrast": [1.8, 2]}
    for name in ("Brain volume", "Registration", "T1 contrast"):
        assert check(name).verdict == "ok"
        found = check(name, calibration=calibration)
        assert found.verdict == "warn"
        assert list(found.range) in list(calibration.values())


def test_the_orientation_is_not_told_where_the_registration_failed() -> None:
    found = check("Orientation", registration_problem="no overlap", tilt=170.0)
    assert found.verdict == "warn"
    assert found.to_dict()["value"] is None


@pytest.mark.parametrize(
    ("name", "spacing"), [("Voxel size", [1.0, 4.0, 4.0]), ("Slice thickness", [0.5, 0.5, 2.0])]
)
def test_thick_slices_are_flagged_in_the_words_of_the_scan(name: str, spacing: list[float]) -> None:
    found = check(name, scan={"spacing": spacing})
    assert found.verdict == "warn"
    assert found.sentence == thick(spacing)


def test_a_check_becomes_plain_data() -> None:
    assert check("Brain volume").to_dict() == {
        "name": "Brain volume",
        "value": 1300.0,
        "unit": "mL",
        "range": [900.0, 2000.0],
        "verdict": "ok",
        "sentence": "The brain volume is usual for an adult.",
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.key)
def test_what_is_refused_lies_outside_what_is_warned_of(kind: Any) -> None:
    assert kind.accepted[0] <= kind.normal[0] < kind.normal[1] <= kind.accepted[1]
    assert kind.low or kind.normal[0] == kind.accepted[0]
    assert kind.high or kind.normal[1] == kind.accepted[1]
    assert kind.judge(kind.normal[0]).verdict == kind.judge(kind.normal[1]).verdict == "ok"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.key)
def test_a_cohorts_range_never_reaches_beyond_what_is_accepted(kind: Any) -> None:
    low, high = kind.bounded(-1e6, 1e6)
    assert kind.accepted[0] <= low < high <= kind.accepted[1]
    usual = 0.4 * kind.normal[0] + 0.6 * kind.normal[1]
    assert kind.judge(usual, kind.bounded(usual, usual)).verdict == "ok"


def test_everything_is_measured_once_and_plainly(brain: Any) -> None:
    """A prepared head has no air and no tilt; what cannot be measured is None, not a number."""
    volume, mask = brain.volume, brain.mask
    found = quality.measure(volume, volume, mask, np.eye(4), volume, mask, np.eye(4), volume)
    judged = {*PREPARED} - {"head", "brain_volume_ml", "similarity", "registration_problem"}
    assert set(found) == judged
    assert found["ghosts"] is None
    assert found["tilt"] == 0.0
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    nothing = np.zeros_like(mask)
    empty = quality.measure(volume, volume, nothing, np.eye(4), volume, nothing, np.eye(4), volume)
    refused = [c for c in quality.checks(SCAN, PREPARED | empty, {}) if c.verdict == "refuse"]
    assert len(refused) >= 5


@pytest.mark.parametrize(
    "name", ["Noise", "Sharpness", "Edge of the brain mask", "Intensity outliers"]
)
def test_what_preparing_changes_is_not_judged_of_a_prepared_volume(name: str) -> None:
    bad = {"noise": 0.1, "sharpness": 0.2, "edge": 1.5, "outliers": 50.0}
    found = check(name, head="prepared", **bad)
    assert found.verdict == "ok"
    assert "resampled" in found.sentence
