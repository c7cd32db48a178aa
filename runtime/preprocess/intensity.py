"""A head's intensities as the stages expect them: background at zero, no absurd scale, no spikes.

Sites send heads with an offset, z-scored, scaled to [-1, 1] or by 1e-8, with a few voxels at the
top of the stored type. None of that is anatomy, but N4 takes logarithms, the brain masks expect the
background to be the darkest, and one voxel of 32767 outweighs a brain in its mean and deviation.
An ordinary head goes through both functions unchanged.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.grid import bounds
from runtime.preprocess.strip import fill_holes

Image = NDArray[np.float32]

_LOOKED_AT = 200_000  # voxels, about: quantiles need no more
_FILL = 0.1  # of the faces hold the value that fills the background
_LOW, _WIDE = 0.05, 2.5  # what lies farther from the middle of these quantiles is a spike
_DARK, _BRIGHT = 0.001, 0.99  # quantiles of what is not filled
_GAP, _UNDERSHOOT = 0.5, 0.05
# Of the range from dark to bright. What a strip or an air fill leaves begins at once above the fill
# (55 stripped heads: 0.03 of the range), or a little below it after interpolation.
_ORDINARY = (1e-3, 65536.0)  # the bright quantile; float32 is as exact at any other power of two
_TARGET = 1024.0

_WHITE = 0.8  # the brain's quantile that white matter reaches
_HOT, _COLD = 2.0, 0.1  # of white matter: what may be a spike
_ABOVE, _BELOW, _MOST = 1.25, 0.5, 5.5
# Of white matter: what tells a spike from vessels, which run on through neighbours. In and about 35
# brains no voxel outdid its second-brightest neighbour by more than 1.18, none reached 5.2.
_REACH = 6  # voxels around the brain, which its cubic splines see
_NEAR = 3 * np.array([[0, 0, 0], *np.eye(3, dtype=int), *-np.eye(3, dtype=int)])
_TWO = np.array([[0, 0, -1], [0, 0, 1]])
_TOUCHING = np.array([o for o in itertools.product((-1, 0, 1), repeat=3) if any(o)])
_AROUND = np.array(list(itertools.product(range(-2, 3), repeat=3)))


def level(array: Image) -> Image:
    """A head whose background is zero and whose intensities are of an ordinary size.

    Where the faces hold one value, that is the background's, unless signal lies well below it (a
    head z-scored elsewhere) or far above it (an offset that spared the background); then, and
    where air is measured, the darkest voxels are.

    Args:
        array: (x, y, z), any spacing and intensity scale.

    Returns:
        The array itself if it is so already.
    """
    step = max(1, round((array.size / _LOOKED_AT) ** (1 / 3)))
    every = slice(step // 2, None, step)
    sample = array[every, every, every].ravel()
    sample = sample[np.isfinite(sample)]
    fill = _fill(array, step)
    seen = sample if fill is None else sample[sample != fill]
    if not seen.size:
        return array
    low, high = np.quantile(seen, [_LOW, 1.0 - _LOW])
    seen = seen[np.abs(seen - 0.5 * (low + high)) <= _WIDE * (high - low)]
    dark, bright = (float(q) for q in np.quantile(seen, [_DARK, _BRIGHT]))
    if not bright > dark:
        return array
    zero, span = dark, bright - dark
    kept = fill is not None and -_UNDERSHOOT * span <= dark - fill <= _GAP * span
    if kept and fill is not None:
        zero = fill
    power = 0
    if not _ORDINARY[0] <= bright - zero < _ORDINARY[1]:
        power = int(np.floor(np.log2(_TARGET) - np.log2(bright - zero)))
    if zero == 0.0 and power == 0 and (kept or fill is None):
        return array
    found = np.ldexp(array, power) - np.float32(np.ldexp(zero, power))
    if fill is not None and not kept:
        found[~fill_holes(array != np.float32(fill))] = 0.0  # in a brain it is a grey
    return np.asarray(found, dtype=np.float32)


def despike(array: Image, brain: NDArray[np.bool_]) -> Image:
    """A head without the spikes in and about its brain: they become the median of what is around.

    A spike is far brighter (or, in the brain, darker) than all but one of its 26 neighbours, or
    brighter than any tissue.

    Args:
        array: (x, y, z), with its background at zero.
        brain: bool, same shape.

    Returns:
        The array itself if there are none.
    """
    every = (slice(None, None, 2),) * 3
    inside = array[every][brain[every]]
    white = float(np.quantile(inside, _WHITE)) if inside.size else 0.0
    box = bounds(brain, _REACH)
    if box is None or not white > 0.0:
        return array
    near = array[box]
    odd = (near > _HOT * white) | (near < -white) | ((near < _COLD * white) & brain[box])
    places = np.argwhere(odd) + [part.start for part in box]
    for offsets in (_TWO, _TOUCHING):  # two neighbours rule out nearly all, and quickly
        values, touching = array[tuple(places.T)], _values(array, places, offsets)
        touching.partition((1, len(offsets) - 2), axis=1)
        spikes = values > np.minimum(touching[:, -2] + _ABOVE * white, _MOST * white)
        spikes |= values < touching[:, 1] - _BELOW * white
        places = places[spikes]
    places = places[_values(brain, places, _NEAR).any(axis=1)]
    if not places.size:
        return array
    around = _values(array, places, _AROUND)
    around[np.abs(around) > _MOST * white] = np.nan
    around[np.isnan(around).all(axis=1)] = white
    found = array.copy()
    found[tuple(places.T)] = np.nanmedian(around, axis=1)
    return found


def _values(
    array: NDArray[Any], places: NDArray[np.intp], offsets: NDArray[np.intp]
) -> NDArray[Any]:
    """(n, m): the values m offsets away from each of n places, of the edge beyond the edge."""
    moved = np.clip(places[:, None] + offsets, 0, np.array(array.shape) - 1)
    return np.asarray(array[tuple(np.moveaxis(moved, 2, 0))])


def _fill(array: Image, step: int) -> float | None:
    """The value that fills the faces, if one does."""
    every = slice(None, None, step)
    faces = [np.moveaxis(array, axis, 0)[[0, -1]][:, every, every] for axis in range(3)]
    values, counts = np.unique(np.concatenate([f.ravel() for f in faces]), return_counts=True)
    most = counts.argmax()
    return float(values[most]) if counts[most] >= _FILL * counts.sum() else None
