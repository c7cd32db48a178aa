"""Skull stripping: a raw T1-weighted head -> its brain mask, with deepbet's two networks.

The first network sees the whole field of view at 128^3 and only says where the brain is; the
second sees that box at 256^3 and draws the mask. Everything around them is NumPy and SciPy.

Source: the networks and their inputs' normalisation are deepbet's (Fisch et al. 2023, MIT).
"""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fmtool.bundle import Bundle
from fmtool.errors import PreprocessingError
from runtime.engines import here, table
from runtime.engines.base import Engine
from runtime.engines.choose import choose, open_engine
from runtime.grid import Box, bounds

_LOCATE_SIZE = 128
_SEGMENT_SIZE = 256
_CLIP = (0.005, 0.995)  # quantiles of the 128^3 volume between which intensities are kept
_MEAN, _STD = 0.449, 0.226  # what the networks were trained on
_MARGIN = 0.1  # of the box's size, on each side
_FILLED = 0.02  # a slice with less brain than this fraction lies outside the box
_EVERY_NEIGHBOUR = np.ones((3, 3, 3), dtype=bool)

_NO_BRAIN = "No brain was found: this does not look like a T1-weighted scan of a human head."


class StripNets:
    """The two networks, opened in float32 on the CPU for as long as the `with` block lasts.

    bfloat16 would move 0.35 % of the mask's voxels. Both networks run on one engine library, the
    one that `choose` prefers on this machine's CPU.

    Args:
        bundle: holds the networks.
    """

    def __init__(self, bundle: Bundle) -> None:
        files = bundle.manifest.strip
        self._bundle, self._names = bundle, {"locate": files.locate, "segment": files.segment}
        self._engines: dict[str, Engine] = {}
        self._stack = ExitStack()

    def __enter__(self) -> StripNets:
        choice = choose(device="cpu", precision="float32")
        for part, name in self._names.items():
            opened = open_engine(self._bundle.read(name), choice)
            self._engines[part] = self._stack.enter_context(opened)
        return self

    def __exit__(self, *error: object) -> None:
        self._engines = {}
        self._stack.close()

    def locate(self, volume: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of brain, (128, 128, 128), for a normalised volume of that shape."""
        return self._run("locate", volume)

    def segment(self, volume: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of brain, (256, 256, 256), for a normalised volume of that shape."""
        return self._run("segment", volume)

    def _run(self, part: str, volume: NDArray[np.float32]) -> NDArray[np.float32]:
        if part not in self._engines:
            raise RuntimeError("StripNets works inside `with StripNets(bundle) as nets:`")
        outputs = self._engines[part].run({"volume": volume[None, None]})
        return np.asarray(outputs["probability"][0, 0])


def library() -> str:
    """What the networks run on here, with its version: others round otherwise."""
    row = table.find(choose(device="cpu", precision="float32").engine, "cpu")
    assert row is not None
    return f"{row.name} {here.version(row)}"


def strip(array: NDArray[np.float32], nets: StripNets) -> NDArray[np.bool_]:
    """The brain mask of a head.

    Args:
        array: (x, y, z), canonical (RAS+) order, any spacing and intensity scale; NaN and
            infinities count as the values NumPy's `nan_to_num` gives them.
        nets: the opened networks.

    Returns:
        Bool of the same shape: one 26-connected component without holes.

    Raises:
        PreprocessingError: if nothing brain-like is found.
    """
    head = array if np.isfinite(array).all() else np.nan_to_num(array)
    small = resize(head, (_LOCATE_SIZE,) * 3)
    low, high = np.quantile(small, _CLIP)
    if not high > low:
        raise PreprocessingError(_NO_BRAIN)
    box = _box(largest(nets.locate(normalise(small, low, high)) > 0.5), head.shape)
    large = resize(head[box], (_SEGMENT_SIZE,) * 3)
    probability = nets.segment(normalise(large, low, high))
    inside = resize(probability, head[box].shape) > 0.5
    mask = np.zeros(head.shape, dtype=bool)
    core = tight(inside)
    mask[box][core] = fill_holes(largest(inside[core]))
    return mask


def resize(array: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Nearest neighbour with voxel centres aligned (PyTorch's "nearest-exact").

    A result axis of n voxels takes from m voxels the one at floor((i + 0.5) * m / n).
    """
    index = []
    for m, n in zip(array.shape, shape, strict=True):
        # float32 throughout, as in PyTorch, because some of the products fall on a boundary.
        centres = np.arange(n, dtype=np.float32) + np.float32(0.5)
        index.append(np.minimum(centres * np.float32(m / n), m - 1).astype(np.intp))
    for axis in sorted(range(3), key=lambda a: shape[a] / array.shape[a]):  # shrink first
        array = np.take(array, index[axis], axis=axis)
    return np.ascontiguousarray(array)


def normalise(volume: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """Clip to [low, high], then shift and scale to the mean and deviation of the training data.

    Raises:
        PreprocessingError: if the volume is constant then.
    """
    result = np.clip(volume, np.float32(low), np.float32(high))
    result -= np.float32(result.mean(dtype=np.float64))
    # Slab by slab: float32 products, a float64 sum, and no float64 copy of the whole volume.
    squares = sum(float(np.vdot(slab, slab)) for slab in result)
    if squares == 0:  # a constant volume, as a box of pure background is
        raise PreprocessingError(_NO_BRAIN)
    result *= np.float32(_STD / np.sqrt(squares / (result.size - 1)))
    result += np.float32(_MEAN)
    return result


def largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest 26-connected component.

    Raises:
        PreprocessingError: if `mask` is empty.
    """
    labels, count = ndimage.label(mask, structure=_EVERY_NEIGHBOUR)
    if count == 0:
        raise PreprocessingError(_NO_BRAIN)
    if count == 1:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


def fill_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`mask` with every background voxel that no 6-connected path joins to the border."""
    background, _ = ndimage.label(np.pad(~mask, 1, constant_values=True))
    outside = background[0, 0, 0]
    return np.asarray(background[1:-1, 1:-1, 1:-1] != outside)


def tight(mask: NDArray[np.bool_]) -> Box:
    """The smallest box that holds `mask`: labelling it costs less than labelling everything.

    Raises:
        PreprocessingError: if `mask` is empty.
    """
    box = bounds(mask)
    if box is None:
        raise PreprocessingError(_NO_BRAIN)
    return box


def _box(rough: NDArray[np.bool_], shape: tuple[int, ...]) -> Box:
    """The voxels of an array of `shape` to segment, given the rough 128^3 mask of all of it."""
    box = []
    for axis, length in enumerate(shape):
        others = tuple(a for a in range(3) if a != axis)
        filled = np.flatnonzero(rough.mean(axis=others) > _FILLED)
        if filled.size == 0:
            raise PreprocessingError(_NO_BRAIN)
        # float32 throughout, as in deepbet: half-integers are frequent here, and a voxel more or
        # less on one side shifts the whole grid that the second network sees.
        scale = np.float32(length / rough.shape[axis])
        start, stop = np.float32(filled[0]), np.float32(filled[-1] + 1)
        centre = np.round(scale * ((start + stop) / 2))
        size = np.round(np.float32(1 + 2 * _MARGIN) * (scale * (stop - start)))
        first, last = int(centre - size / 2), int(centre + size / 2)
        box.append(slice(max(0, first), min(length, last)))
    return (box[0], box[1], box[2])


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


def brain_mask_of_stripped(
    array: NDArray[np.float32], nets: StripNets
) -> tuple[NDArray[np.bool_], float]:
    """The brain mask of a head that was skull-stripped before.

    The strip's own outline says where no brain can be; the networks' mask says which of the rest
    is brain. Neither alone will do: strips leave remnants of vessels, eyes and neck (up to 95 mL
    in the cohort looked at), and the networks draw a whole head's outline over what a strip cut
    away (up to 145 mL).

    Args:
        array: (x, y, z), canonical (RAS+) order.
        nets: the opened networks.

    Returns:
        Bool of the same shape: one 26-connected component without holes; and how much of the
        networks' mask the strip left out, in percent.

    Raises:
        PreprocessingError: if nothing brain-like is found.
    """
    head = np.nan_to_num(array)
    mask = strip(head, nets)
    box = tight(mask)
    seen = mask[box].sum(dtype=np.int64)
    both = mask[box] & (head[box] != _background(head)[0])
    mask[box] = fill_holes(largest(both))
    return mask, 100.0 * float(1.0 - mask[box].sum(dtype=np.int64) / seen)
