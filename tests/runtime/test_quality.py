"""Checks: each verdict at its border, and the contrast of heads of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from fmtool.space import CROP_SHAPE
from runtime import quality
from runtime.geometry import thick
from runtime.quality import Check

SCAN = {"spacing": [1.0, 1.0, 1.0], "warnings": []}
PREPARED: dict[str, Any] = {
    "brain_volume_ml": 1300.0,
    "similarity": 0.6,
    "registration_problem": "",
    "mask_at_border": 0.0,
    "contrast": 1.4,
}


def check(name: str, scan: Any = None, calibration: Any = None, **changes: Any) -> Check:
    found = quality.checks(scan or SCAN, PREPARED | changes, calibration or {})
    (one,) = [c for c in found if c.name == name]
    return one


def test_a_usual_head_passes_every_check() -> None:
    found = quality.checks(SCAN, PREPARED, {})
    assert [c.verdict for c in found] == ["ok"] * 5
    assert len({c.name for c in found}) == 5


@pytest.mark.parametrize(
    ("name", "changes", "verdict", "words"),
    [
        ("Brain volume", {"brain_volume_ml": 375.0}, "warn", "375 mL, expected 900 to 2000"),
        ("Brain volume", {"brain_volume_ml": 2100.0}, "warn", "2100 mL"),
        ("Registration", {"similarity": 0.05}, "warn", "similarity 0.05"),
        (
            "Registration",
            {"registration_problem": "too little overlap"},
            "refuse",
            "failed (too little overlap)",
        ),
        ("Registration", {"similarity": float("nan")}, "refuse", "failed"),
        ("T1 contrast", {"contrast": 0.5}, "warn", "0.50, expected 0.70"),
        ("T1 contrast", {"contrast": -1.1}, "refuse", "another kind of scan"),
        ("T1 contrast", {"contrast": float("nan")}, "refuse", "another kind of scan"),
        ("Brain at the image's border", {"mask_at_border": 0.01}, "warn", "1 % of the brain"),
    ],
)
def test_an_unusual_head_is_flagged(
    name: str, changes: dict[str, float], verdict: str, words: str
) -> None:
    found = check(name, **changes)
    assert found.verdict == verdict
    assert words in found.sentence


def test_the_bundles_ranges_replace_the_defaults() -> None:
    calibration = {"brain_volume_ml": [1350, 1700], "similarity": [0.7, 1], "contrast": [1.5, 2]}
    for name in ("Brain volume", "Registration", "T1 contrast"):
        assert check(name).verdict == "ok"
        found = check(name, calibration=calibration)
        assert found.verdict == "warn"
        assert list(found.range) in list(calibration.values())


def test_thick_slices_are_flagged_in_the_words_of_the_scan() -> None:
    found = check("Voxel size", scan={"spacing": [1.0, 1.0, 5.0]})
    assert found.verdict == "warn"
    assert found.sentence == thick([5.0, 1.0, 1.0])


def test_a_check_becomes_plain_data() -> None:
    assert check("Brain volume").to_dict() == {
        "name": "Brain volume",
        "value": 1300.0,
        "unit": "mL",
        "range": [900.0, 2000.0],
        "verdict": "ok",
        "sentence": "The brain volume is usual for an adult.",
    }


def head(scale: float = 1.0, shift: int = 0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A brain as T1-weighting shows it: bright depth, dim folded surface, dark ventricles."""
    z, y, x = np.ogrid[: CROP_SHAPE[0], : CROP_SHAPE[1], : CROP_SHAPE[2]]
    centre = [n / 2 + shift for n in CROP_SHAPE]
    u, v, w = ((a - c) / scale for a, c in zip((z, y, x), centre, strict=True))
    radius = np.sqrt((u / 60) ** 2 + (v / 85) ** 2 + (w / 65) ** 2)
    folds = 0.08 * np.sin(u / 4) * np.sin(v / 4) * np.sin(w / 4)
    tissue = np.where(radius + folds < 0.8, 900.0, 600.0)
    tissue = np.where((np.abs(u) < 8) & (np.abs(v) < 25) & (np.abs(w) < 10), 250.0, tissue)
    mask = radius < 1
    return np.where(mask, tissue, 0).astype(np.float32), mask


@pytest.fixture(scope="module")
def template() -> NDArray[np.float32]:
    return head()[0]


def test_contrast_knows_t1_from_t2_and_from_nothing(template: NDArray[np.float32]) -> None:
    volume, mask = head(0.85, 6)
    noise = gaussian_filter(np.random.default_rng(0).normal(size=mask.shape), 1.0)
    t1 = quality.contrast(volume + (60 * noise).astype(np.float32), mask, template)
    t2 = quality.contrast(np.where(mask, 1200 - volume, 0).astype(np.float32), mask, template)
    none = quality.contrast(np.where(mask, 500 + noise, 0).astype(np.float32), mask, template)
    assert t1 > 1.0
    assert t2 < -1.0
    assert abs(none) < 0.3
    assert quality.contrast(mask.astype(np.float32), mask, template) == 0.0


def test_contrast_ignores_size_place_and_scale(template: NDArray[np.float32]) -> None:
    whole = quality.contrast(*head(), template)
    assert quality.contrast(*head(0.8), template) == pytest.approx(whole, rel=0.1)
    assert quality.contrast(*head(0.8, 9), template) == pytest.approx(whole, rel=0.1)
    volume, mask = head(0.8)
    moved = quality.contrast(np.where(mask, 3 * volume + 50, 0).astype(np.float32), mask, template)
    assert moved == pytest.approx(quality.contrast(volume, mask, template), rel=1e-3)


def test_contrast_of_a_sliver_is_zero(template: NDArray[np.float32]) -> None:
    mask = np.zeros(CROP_SHAPE, dtype=bool)
    mask[:2, :2, :2] = True
    assert quality.contrast(mask.astype(np.float32), mask, template) == 0.0
