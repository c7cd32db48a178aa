"""Other contrasts, made from a T1-weighted head by remapping its intensities."""

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


Random = np.random.Generator


def t2(array: Volume, brain: Mask, random: Random) -> Volume:
    """Fluid brightest, white matter darkest, as in T2-weighting."""
    return _inverted(array, brain, 1.0)


def flair(array: Volume, brain: Mask, random: Random) -> Volume:
    """Fluid dark, grey matter brighter than white."""
    grey, white = grey_and_white(array, brain)
    top = 0.5 * (grey + white)
    return np.asarray(np.where(array < top, array, np.maximum(2.0 * top - array, 0.3 * top)))


def proton(array: Volume, brain: Mask, random: Random) -> Volume:
    """All tissues nearly alike, fluid a little brighter, as in proton-density weighting."""
    return _inverted(array, brain, 0.15)


def ct(array: Volume, brain: Mask, random: Random) -> Volume:
    """Air -1000, brain 30 to 40, bone 1000, with a tomograph's noise."""
    head = ndimage.binary_closing(tissue(array, brain), iterations=4)
    dark = head & (array < 0.35 * np.median(array[brain])) & ~ndimage.binary_dilation(brain)
    units = np.where(head, 30.0 + random.normal(0.0, 6.0, array.shape), -1000.0)
    grey, white = grey_and_white(array, brain)
    units -= np.where(brain, 5.0 * np.clip((array - grey) / (white - grey), 0.0, 1.0), 0.0)
    return np.asarray(np.where(dark, 1000.0, units), dtype=np.float32)


def epi(array: Volume, brain: Mask, random: Random) -> Volume:
    """T2*-weighted, blurred to 4 voxels, without signal above the sinuses."""
    blurred = ndimage.gaussian_filter(_inverted(array, brain, 0.6) * brain, 2.0)
    where = np.argwhere(brain)
    low, high = where.min(axis=0), where.max(axis=0)
    centre = low + (high - low) * np.array([0.5, 0.85, 0.3])
    away = sum(
        ((g - c) / (0.12 * (h - a))) ** 2
        for g, c, a, h in zip(
            np.ogrid[tuple(map(slice, array.shape))], centre, low, high, strict=True
        )
    )
    noise = random.normal(0.0, 0.03 * blurred.max(), array.shape)
    return np.asarray(np.abs(blurred * (1.0 - np.exp(-away)) + noise), dtype=np.float32)


def newborn(array: Volume, brain: Mask, random: Random) -> Volume:
    """White matter not myelinated yet: darker than grey; the size is `geometry.newborn`'s."""
    return flair(array, brain, random)


def _inverted(array: Volume, brain: Mask, strength: float) -> Volume:
    top = float(np.quantile(array[brain], 0.99))
    inside = tissue(array, brain)
    turned = 1.1 * top - strength * np.minimum(array, top)
    return np.asarray(np.where(inside, turned, 0.05 * np.minimum(array, top)), dtype=np.float32)
