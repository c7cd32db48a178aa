"""Lost slices, on every axis and of either parity."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.quality import slices


def test_a_whole_brain_has_all_its_slices(brain):
    assert slices.measure(brain.view()) < 25


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("lost", [[70], [71], [70, 72, 74, 76], [71, 72, 73]])
@pytest.mark.parametrize("left", [0.0, 0.25, 2.5])
def test_a_lost_or_scaled_slice_is_refused(brain, axis, lost, left):
    volume = brain.volume.copy()
    np.moveaxis(volume, axis, 0)[lost] *= left
    assert slices.KIND.judge(slices.measure(brain.view(volume))).verdict == "refuse"


def test_slices_outside_the_brain_do_not_count(brain):
    volume = brain.volume.copy()
    volume[:3] = volume[-3:] = 0
    assert slices.measure(brain.view(volume)) == slices.measure(brain.view())


def test_no_brain_is_no_number(brain):
    assert np.isnan(slices.measure(brain.view(np.zeros_like(brain.volume))))
