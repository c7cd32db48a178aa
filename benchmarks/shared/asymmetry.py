"""Left or right? What a brain's asymmetry tells, learnt on some heads and tested on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from benchmarks.shared import heads
from fmtool import bundle as bundles
from fmtool import space
from runtime import scan as scans
from runtime.preprocess.pipeline import Prepared, Preprocessor

Array = NDArray[np.float64]

_BLUR, _STEP = 4.0, 4  # mm
_RIDGE = 0.1


def features(prepared: Prepared) -> Array:
    """Left minus right of the blurred mask and of the blurred intensities, one half, flat."""
    volume = np.where(prepared.mask, prepared.volume, 0) / np.median(prepared.volume[prepared.mask])
    middle = round(-space.GRID_ORIGIN[0]) - space.CROP_START[2]  # of the crop, where x = 0
    wide = min(middle, prepared.mask.shape[2] - 1 - middle)
    parts = []
    for array in (prepared.mask.astype(np.float32), volume.astype(np.float32)):
        smooth = gaussian_filter(array, _BLUR)[::_STEP, ::_STEP]
        right = smooth[..., middle + 2 : middle + wide : _STEP]
        left = smooth[..., middle - 2 : middle - wide : -_STEP]
        part = (right - left).ravel().astype(np.float64)
        parts.append(part / np.linalg.norm(part))
    return np.concatenate(parts)


def collect(folder: Path, bundle: Path | None) -> tuple[list[str], Array, Array]:
    """Site of each real head, its features, and those of its mirror image, prepared anew."""
    sites, true, mirrored = [], [], []
    with bundles.open(bundle) as opened, Preprocessor(opened) as stages:
        for path in heads.find(folder):
            scan = scans.read(path)
            other = replace(scan, array=np.ascontiguousarray(scan.array[::-1]))
            sites.append(path.parent.name)
            true.append(features(stages.run(scan)))
            mirrored.append(features(stages.run(other)))
            print(heads.label(path), flush=True)
    return sites, np.stack(true), np.stack(mirrored)


def judged(train: Array, mirrored: Array, test: Array) -> Array:
    """Scores of `test`, above zero for a head that is not mirrored: ridge on two classes."""
    rows = np.concatenate([train, mirrored])
    labels = np.concatenate([np.ones(len(train)), -np.ones(len(mirrored))])
    weights = np.linalg.solve(rows @ rows.T + _RIDGE * np.eye(len(rows)), labels)
    return np.asarray(test @ (weights @ rows))


def right(groups: Sequence[object], true: Array, mirrored: Array) -> tuple[int, int]:
    """How many of the heads, and of their mirror images, are told; their own group left out."""
    told = [0, 0]
    for group in dict.fromkeys(groups):
        out = np.array([g == group for g in groups])
        told[0] += int((judged(true[~out], mirrored[~out], true[out]) > 0).sum())
        told[1] += int((judged(true[~out], mirrored[~out], mirrored[out]) < 0).sum())
    return told[0], told[1]


def accuracy(folder: Path, bundle: Path | None) -> dict[str, str]:
    """Of all real heads: told right, leaving out one head at a time, and one site at a time."""
    sites, true, mirrored = collect(folder, bundle)
    found = {}
    for name, groups in (("one head left out", range(len(sites))), ("one site left out", sites)):
        told = right(list(groups), true, mirrored)
        found[name] = f"{told[0]} and, mirrored, {told[1]} of {len(sites)}"
    return found
