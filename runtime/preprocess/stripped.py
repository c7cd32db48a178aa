"""Heads that were skull-stripped before they came: telling them, and their brain mask.

A strip leaves one exact value all around the brain. A whole head may have such a background too
(averages, denoised or defaced scans), but under its bright scalp lies the dark skull, while the
brain only gets brighter from its surface, CSF and cortex, to its white matter.

The thresholds lie midway between what was measured on 55 stripped heads (28 of one cohort, 22 made
from whole heads, 5 templates and others; also cropped tightly) and on 13 whole heads, 11 of them
also with their background set to zero in two ways, padded until nothing touches the border; both
in two orientations.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from runtime.preprocess.strip import StripNets, fill_holes, largest, resize, strip, tight

_SIZE = 96  # voxels per axis are enough to see a skull
_BORDER = 0.98  # of the faces hold the background; strips cropped tightly have 0.986 and more
_SHELLS, _SHELL = 16, 0.04  # shells peeled off the surface, each of this fraction of the volume
_FALL = 0.905  # of a shell's median to the brightest outside it: strips >= 0.967, heads <= 0.846
_SURFACE = 0.12  # of the bright tissue's intensity: strips >= 0.18, air with noise <= 0.07
_ENCLOSED = 0.032  # background in a shell: strips <= 0.022, skulls set to zero >= 0.042


def is_stripped(array: NDArray[np.float32]) -> bool:
    """Whether a head (x, y, z), any spacing and orientation, shows a brain without its skull."""
    small = np.nan_to_num(resize(array, (_SIZE,) * 3))
    background, fraction = _background(small)
    shown = small != background
    if fraction < _BORDER or not shown.any():
        return False
    box = tight(shown)
    body = fill_holes(largest(shown[box]))
    depth = ndimage.distance_transform_edt(np.pad(body, 1))[1:-1, 1:-1, 1:-1][body]
    intensity = np.abs(small[box] - background)[body]
    # Voxels of equal depth stay together, so that the array's orientation does not matter.
    levels = np.quantile(depth, _SHELL * np.arange(1, _SHELLS + 1), method="nearest")
    shell = np.searchsorted(np.unique(levels), depth)
    within = [intensity[shell == number] for number in range(len(np.unique(levels)))]
    medians = np.array([np.median(values) for values in within])
    falls = medians[1:] < _FALL * np.maximum.accumulate(medians)[:-1]
    enclosed = max(float(np.mean(values == 0)) for values in within)
    at_surface = medians[0] >= _SURFACE * np.quantile(intensity, 0.98)
    return bool(at_surface and not falls.any() and enclosed <= _ENCLOSED)


def _background(array: NDArray[np.float32]) -> tuple[np.float32, float]:
    """The most frequent value on the array's six faces, and the fraction of them that holds it."""
    faces = [array[[0, -1]], array[:, [0, -1]], array[:, :, [0, -1]]]
    values, counts = np.unique(np.concatenate([f.ravel() for f in faces]), return_counts=True)
    return values[counts.argmax()], float(counts.max() / counts.sum())


def brain_mask_of_stripped(array: NDArray[np.float32], nets: StripNets) -> NDArray[np.bool_]:
    """The brain mask of a head that was skull-stripped before.

    The strip's own outline says where no brain can be; the networks' mask says which of the rest
    is brain. Neither alone will do: strips leave remnants of vessels, eyes and neck (up to 95 mL
    in the cohort looked at), and the networks draw a whole head's outline over what a strip cut
    away (up to 145 mL).

    Args:
        array: (x, y, z), canonical (RAS+) order.
        nets: the opened networks.

    Returns:
        Bool of the same shape: one 26-connected component without holes.

    Raises:
        PreprocessingError: if nothing brain-like is found.
    """
    head = np.nan_to_num(array)
    mask = strip(head, nets)
    box = tight(mask)
    both = mask[box] & (head[box] != _background(head)[0])
    mask[box] = fill_holes(largest(both))
    return mask
