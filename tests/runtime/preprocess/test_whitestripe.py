"""WhiteStripe finds the white matter's intensities."""

import numpy as np
import pytest

from fmtool.errors import PreprocessingError
from runtime.preprocess.whitestripe import white_stripe


def brain(seed=0, scale=1.0, shift=0.0):
    """Three tissues, CSF, GM and WM, with 20 %, 45 % and 35 % of the voxels."""
    rng = np.random.default_rng(seed)
    parts = [
        rng.normal(m, s, n) for m, s, n in ((60, 12, 20000), (110, 10, 45000), (160, 7, 35000))
    ]
    volume = (np.concatenate(parts) * scale + shift).astype(np.float32)
    return volume, np.ones(volume.shape, dtype=bool)


def test_the_stripe_is_the_white_matter():
    mean, deviation = white_stripe(*brain())
    assert mean == pytest.approx(160, abs=2)
    assert 0 < deviation < 7


def test_it_follows_a_linear_change_of_intensities():
    mean, deviation = white_stripe(*brain())
    moved, wider = white_stripe(*brain(scale=3.0, shift=40.0))
    assert moved == pytest.approx(3 * mean + 40, rel=1e-3)
    assert wider == pytest.approx(3 * deviation, rel=1e-2)


@pytest.mark.parametrize("mask", [np.zeros(9, bool), np.ones(9, bool)])
def test_no_contrast_is_an_error(mask):
    with pytest.raises(PreprocessingError, match="nothing to normalise"):
        white_stripe(np.full(9, 7, np.float32), mask)
