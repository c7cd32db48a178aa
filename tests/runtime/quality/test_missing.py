"""How much of a brain a plane took, however it lies, and what another tool's strip left out."""

from __future__ import annotations

import numpy as np
import pytest

from fmtool import space
from runtime.quality import fitted, missing
from runtime.quality.missing import check


@pytest.fixture(scope="module")
def head(brain):
    """The template's brain in bright skin and noisy air, as a scan on the crop's own grid."""
    grown = np.pad(brain.mask, 0)
    for axis in range(3):
        grown = grown | np.roll(grown, 9, axis) | np.roll(grown, -9, axis)
    noise = np.random.default_rng(0).uniform(1, 20, brain.mask.shape)
    array = np.where(brain.mask, brain.volume, np.where(grown, 700.0, noise)).astype(np.float32)
    return array.transpose(2, 1, 0)


def measured(head, brain, template=None):
    """The scan's voxels are the crop's, in x, y, z order."""
    order = np.eye(4)[[2, 1, 0, 3]]
    affine = space.crop_affine() @ order
    shown = brain.volume if template is None else template
    return missing.measure(head, affine, fitted.fit(shown, brain.mask, shown), np.eye(4))


def cut(head, brain, share, direction):
    """The head without what lies beyond a plane that takes this share of the brain."""
    place = np.indices(brain.mask.shape)
    along = sum(d * axis for d, axis in zip(direction, place, strict=True))
    return np.where(along > np.quantile(along[brain.mask], 1 - share), 0, head.T).T


def test_a_whole_head_has_its_brain(head, brain):
    assert measured(head, brain) == 0
    assert check(0.0, "whole", 0.4).verdict == "ok"


@pytest.mark.parametrize("direction", [(-0.5, 1, 0), (0, 1, 0), (0.6, 1, 0.3), (1, 0.2, 0)])
@pytest.mark.parametrize(("share", "verdict"), [(0.04, "warn"), (0.10, "refuse"), (0.2, "refuse")])
def test_a_plane_through_the_brain_is_told(head, brain, direction, share, verdict):
    found = measured(cut(head, brain, share, direction), brain)
    assert found == pytest.approx(100 * share, abs=2)
    said = check(found, "whole", 0.4)
    assert said.verdict == verdict
    assert f"{found:.0f}% of the brain was cut away" in said.sentence


def test_a_smaller_head_is_measured_by_its_own_width(head, brain, make_brain):
    assert measured(head, brain, make_brain(scale=1.06).volume) < 0.5


def test_a_lost_slice_is_no_cut(head, brain):
    odd = head.copy()
    odd[:, :, 60:75:2] = 0
    assert measured(odd, brain) < 0.5


def test_a_strip_that_left_fluid_out_is_warned_of_with_its_loss():
    assert check(6.0, "stripped", 0.45).verdict == "ok"
    bare = check(6.0, "stripped", 0.65)
    assert bare.verdict == "warn"
    assert "at least 6% of the brain" in bare.sentence


def test_a_prepared_head_is_not_judged():
    assert check(float("nan"), "prepared", 0.9).verdict == "ok"
