"""Attribution's slow reference: what an answer loses when a part of the brain is covered.

A cube around each position of a task's map is set to the brain's mean intensity, and the network is
run again. Where a map says that an answer comes from, covering should change it: the rank
correlation over the positions in the brain says how far that holds. A head may look at edges that
covering makes, and every position sees far around its cube, so agreement is not to be expected of a
head that has learnt little.

    python -m benchmarks.occlusion SCAN [--bundle B] [--every 1] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from fmtool import space
from runtime.attribution import Attribution
from runtime.engines.base import Arrays
from runtime.predict import Predictor

Run = Callable[[Arrays], Arrays]
Array = NDArray[np.float64]


def changes(
    run: Run,
    volume: NDArray[np.float32],
    mask: NDArray[np.bool_],
    centres: NDArray[np.integer[Any]] | Array,
    size: int,
    outputs: Sequence[str],
) -> Array:
    """How much higher each output is than with a cube covered: (centres, outputs).

    Args:
        run: a network, from "volume" and "mask" [1, 1, z, y, x] to outputs [1, 1].
        volume: (z, y, x), zero outside the mask.
        mask: the brain, same shape.
        centres: (n, 3), the (z, y, x) voxels of the cubes' centres.
        size: voxels along a cube's side.
        outputs: their names.
    """
    masks = mask.astype(np.float32)[None, None]

    def values(shown: NDArray[np.float32]) -> Array:
        found = run({"volume": np.ascontiguousarray(shown)[None, None], "mask": masks})
        return np.array([float(found[name][0, 0]) for name in outputs])

    whole, mean = values(volume), float(volume[mask].mean())
    found = []
    for centre in centres:
        # The cube [c - size/2, c + size/2) of an even size has its centre half a voxel before c.
        box = tuple(slice(max(round(c) - size // 2, 0), round(c) + (size + 1) // 2) for c in centre)
        covered = volume.copy()
        covered[box] = np.where(mask[box], mean, covered[box])
        found.append(whole - values(covered))
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


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with Predictor(args.bundle) as predictor:
        result = predictor.predict(args.scan)
        tasks = list(result.maps)
        first = result.maps[tasks[0]]
        index = positions(first, result.prepared.mask, args.every)
        to_voxel = np.linalg.inv(space.crop_affine()) @ first.affine
        centres = index @ to_voxel[:3, :3].T + to_voxel[:3, 3]
        size = round(float(to_voxel[0, 0])) * args.every
        prepared = result.prepared
        run = predictor.engine.run
        covered = changes(run, prepared.volume, prepared.mask, centres, size, tasks)
        engine = predictor.engine.describe()
    summary: dict[str, Any] = {"engine": engine, "cubes": len(index), "size_mm": size}
    for number, task in enumerate(tasks):
        found, at = result.maps[task], tuple(index.T)
        summary[task] = {
            "agreement_with_map": agreement(covered[:, number], found.values[at]),
            "agreement_with_difference": agreement(covered[:, number], found.difference[at]),
            "largest_change": float(np.abs(covered[:, number]).max()),
            "structure_of_difference": structure(found.difference),
        }
    print(json.dumps(summary, indent=1))
    if args.json:
        args.json.write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
