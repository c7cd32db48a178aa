"""Where a head's tissue and its brain lie, and how bright they are, for simulations of contrast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Volume = NDArray[np.float32]
Mask = NDArray[np.bool_]


def tissue(array: Volume, brain: Mask) -> Mask:
    """Everything brighter than a tenth of the brain's median, holes filled slice by slice."""
    rough = array > 0.1 * np.median(array[brain])
    return np.asarray(ndimage.binary_opening(rough) | brain)


def grey_and_white(array: Volume, brain: Mask) -> tuple[float, float]:
    """Rough intensities of grey and of white matter: quantiles of the brain."""
    grey, white = np.quantile(array[brain], (0.4, 0.85))
    return float(grey), float(white)
