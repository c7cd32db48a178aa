"""Attribution's slow reference: what an answer loses when a part of the brain is covered.

A cube around each position of a task's map is covered, and the network is run again. The map's mean
is the output, so what the output loses is the mean of what the map loses, over **all** positions;
the map's own value at the cube says as much only if the loss is there and nowhere else. Two reasons
why it need not be are told apart:

* each position sees far around itself: `local_share` is how much of the map's change lies at
  positions within the cube and one position around it. Where it is small, map and occlusion answer
  different questions, and their rank correlation over the positions in the brain means nothing;
* the graph's z-score counts the whole brain, and a cube of mean intensity lowers its deviation,
  which changes every position. Shuffling the cube's voxels does not: mean and deviation stay.

    python -m benchmarks.occlusion SCAN [--bundle B] [--every 1] [--json FILE]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.shared import script
from fmtool import space
from fmtool.errors import UsageError
from runtime.attribution import Attribution, names
from runtime.engines.base import Arrays
from runtime.predict import Predictor

Run = Callable[[Arrays], Arrays]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Losses:
    """How much higher outputs and maps are than with a cube covered.

    Attributes:
        outputs: (centres, outputs).
        maps: (centres, outputs, d, h, w); the mean over positions is `outputs`.
    """

    outputs: Array
    maps: Array


Cover = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""From a cube's voxels in the brain (n,) to what covers them."""


def with_mean(volume: NDArray[np.float32], mask: NDArray[np.bool_]) -> Cover:
    """The brain's mean intensity in their place."""
    mean = volume[mask].mean()
    return lambda voxels: np.full_like(voxels, mean)


def shuffled(seed: int = 0) -> Cover:
    """The same voxels in another order."""
    generator = np.random.default_rng(seed)
    return generator.permutation


def losses(
    run: Run,
    volume: NDArray[np.float32],
    mask: NDArray[np.bool_],
    centres: NDArray[np.integer[Any]] | Array,
    size: int,
    outputs: Sequence[str],
    maps: Sequence[str],
    cover: Cover,
) -> Losses:
    """What every cube is worth.

    Args:
        run: a network, from "volume" and "mask" [1, 1, z, y, x] to outputs [1, 1] and maps
            [1, 1, d, h, w].
        volume: (z, y, x), zero outside the mask.
        mask: the brain, same shape.
        centres: (n, 3), the (z, y, x) voxels of the cubes' centres.
        size: voxels along a cube's side.
        outputs: their names.
        maps: their maps' names, in the same order; none leaves `Losses.maps` empty.
        cover: what takes the place of a cube's voxels in the brain.
    """
    masks = mask.astype(np.float32)[None, None]

    def found(shown: NDArray[np.float32]) -> tuple[Array, Array]:
        got = run({"volume": np.ascontiguousarray(shown)[None, None], "mask": masks})
        values = np.array([float(got[name][0, 0]) for name in outputs])
        return values, np.array([got[name][0, 0] for name in maps], dtype=np.float64)

    whole, whole_maps = found(volume)
    lost, lost_maps = [], []
    for centre in centres:
        covered = volume.copy()
        box = cube(centre, size)
        covered[box][mask[box]] = cover(covered[box][mask[box]])
        values, parts = found(covered)
        lost.append(whole - values)
        lost_maps.append(whole_maps - parts)
    return Losses(np.array(lost), np.array(lost_maps))


def cube(centre: NDArray[Any], size: int) -> tuple[slice, ...]:
    """[c - size/2, c + size/2) on each axis; an even size has its centre half a voxel before c."""
    return tuple(slice(max(round(c) - size // 2, 0), round(c) + (size + 1) // 2) for c in centre)


def local_share(lost: Array, index: NDArray[np.intp], reach: int) -> Array:
    """How much of a map's absolute change lies near the cube: (centres, outputs), 0 to 1.

    Args:
        lost: `Losses.maps`.
        index: (centres, 3), the cubes' positions on the map.
        reach: positions to each side that count as near.
    """
    places = np.indices(lost.shape[2:])
    found = []
    for change, at in zip(np.abs(lost), index, strict=True):
        near = (np.abs(places - at[:, None, None, None]) <= reach).all(axis=0)
        found.append(change[:, near].sum(axis=1) / change.sum(axis=(1, 2, 3)))
    return np.array(found)


def agreement(covered: Array, mapped: Array) -> float:
    """Spearman's rank correlation."""
    return float(stats.spearmanr(covered, mapped).statistic)


def structure(values: NDArray[np.floating[Any]]) -> float:
    """Moran's I of a map (d, h, w) over face neighbours: near 0 without structure, at most 1."""
    centred = np.asarray(values, dtype=np.float64) - values.mean()
    products, pairs = 0.0, 0
    for axis in range(3):
        first = np.take(centred, range(values.shape[axis] - 1), axis)
        second = np.take(centred, range(1, values.shape[axis]), axis)
        products += float((first * second).sum())
        pairs += first.size
    return products / pairs / float((centred**2).mean())


def positions(found: Attribution, mask: NDArray[np.bool_], every: int) -> NDArray[np.intp]:
    """Map indices (n, 3) in the brain, `every` so many along each axis."""
    index = np.argwhere(found.inside(mask))
    return index[(index % every == 0).all(axis=1)]


def _told(
    lost: Array, near: Array, found: Attribution, index: NDArray[np.intp]
) -> dict[str, float]:
    """The figures of one task."""
    at = tuple(index.T)
    return {
        "agreement_with_map": agreement(lost, found.values[at]),
        "agreement_with_difference": agreement(lost, found.difference[at]),
        "largest_change": float(np.abs(lost).max()),
        "local_share": float(np.median(near)),
        "structure_of_difference": structure(found.difference),
    }


def main() -> None:
    """Measure, print, and write JSON."""
    args = script.options(__doc__, "scan", bundle=Path, every=1, json=Path)
    with Predictor(args.bundle) as predictor:
        result = predictor.predict(args.scan)
        tasks = [name for name in result.maps if name not in result.class_maps]
        if not tasks:
            raise UsageError("the bundle's tasks have several classes; occlusion compares one map")
        first = result.maps[tasks[0]]
        index = positions(first, result.prepared.mask, args.every)
        to_voxel = np.linalg.inv(space.crop_affine()) @ first.affine
        centres = index @ to_voxel[:3, :3].T + to_voxel[:3, 3]
        size = round(float(to_voxel[0, 0])) * args.every
        prepared = result.prepared
        engine = predictor.engine.describe()
        named = names(predictor.bundle)
        summary: dict[str, Any] = {"engine": engine, "cubes": len(index), "size_mm": size}
        for kind, cover in (
            ("mean", with_mean(prepared.volume, prepared.mask)),
            ("shuffled", shuffled()),
        ):
            run, brain = predictor.engine.run, (prepared.volume, prepared.mask)
            lost = losses(run, *brain, centres, size, tasks, [named[t] for t in tasks], cover)
            near = local_share(lost.maps, index, args.every // 2 + 1)
            summary[kind] = {
                task: _told(lost.outputs[:, number], near[:, number], result.maps[task], index)
                for number, task in enumerate(tasks)
            }
        reach = 2 * (args.every // 2 + 1) + 1
        summary["share_if_spread_evenly"] = reach**3 / first.values.size
    script.tell(summary, args.json)


if __name__ == "__main__":
    main()
