"""A ghost of the stated brightness at the stated distance."""

import numpy as np
import pytest

from benchmarks.robustness import intensity
from benchmarks.robustness.head import PerturbedHead


@pytest.mark.parametrize("axis", [0, 1])
def test_two_ghosts_a_quarter_of_the_field_of_view_away(axis):
    array = np.zeros((64, 64, 4), np.float32)
    array[20, 20, 2] = 100.0
    found = intensity.ghosted(PerturbedHead(array, np.eye(4)), axis, 5.0, 4).array
    expected = array.copy()
    for place in (20 - 16 + 64, 20 + 16):  # plus and minus 64 / 4 voxels, wrapped around
        at = [20, 20, 2]
        at[axis] = place % 64
        expected[tuple(at)] = 5.0
    assert found == pytest.approx(expected, abs=1e-4)


def test_a_field_of_view_that_the_period_does_not_divide(whole):
    head, _ = whole
    short = PerturbedHead(np.ascontiguousarray(head.array[:, :79]), head.affine)
    found = intensity.ghosted(short, 1, 2.0, 4)
    assert found.array.shape == short.array.shape
    # 80 lines: what is added is 2 % of the head 20 voxels to either side.
    padded = np.pad(short.array, [(0, 0), (0, 1), (0, 0)])
    copies = 0.02 * (np.roll(padded, 20, axis=1) + np.roll(padded, -20, axis=1))
    assert found.array == pytest.approx((padded + copies)[:, :79], abs=1e-3)
