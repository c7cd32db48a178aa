"""Is a header that lies about the head's axes caught, and can a mirrored head be told?

Wrong axes: some heads, whole and stripped, in each of the 24 rotations that permute their axes; a
rotation is caught if the checks refuse the scan. Each is tried as it is and mirrored.

Mirrored heads: no check sees them. How much could be known is measured by a linear map of the
brain's asymmetry (left minus right, of the mask and of the intensities), fitted on some heads and
their mirror images, all of them prepared, and tested on others: leaving out one head, and leaving
out one site.

    python -m benchmarks.orientation [--data DIR] [--heads 3] [--no-mirror] [--json FILE]
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from benchmarks.shared import heads, script
from benchmarks.shared.judge import counted, judge
from benchmarks.shared.spoiled.field import turned, turns
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


WHOLE, STRIPPED = ("raw", "ixi2mm"), ("cohort",)


def picked(folder: Path, count: int) -> Iterator[tuple[str, Path]]:
    """Some heads of each kind, evenly over them."""
    for kind, sets in (("whole", WHOLE), ("stripped", STRIPPED)):
        found = heads.find(folder, sets)
        for i in np.linspace(0, len(found) - 1, min(count, len(found))):
            yield kind, found[round(i)]


def axes(folder: Path, bundle: Path | None, count: int) -> list[dict[str, Any]]:
    """The verdict of each head in each pose."""
    rows = []
    with bundles.open(bundle) as opened, Preprocessor(opened) as stages:
        calibration = opened.manifest.calibration
        for kind, path in picked(folder, count):
            scan = scans.read(path)
            for mirrored in (False, True):
                for number, turn in enumerate(turns(mirrored)):
                    said = judge(stages, turned(scan, turn), calibration)
                    row = {"head": heads.label(path), "kind": kind, "mirrored": mirrored}
                    right = number == 0 if not mirrored else turn == ((0, 1, 2), (-1, 1, 1))
                    rows.append(
                        {**row, "right": right, "verdict": said.gravest, "angle": said.tilt}
                    )
                    print(*rows[-1].values(), flush=True)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: what became of right and of wrong axes."""
    lines = []
    for kind, right, mirrored in itertools.product(
        ("whole", "stripped"), (True, False), (False, True)
    ):
        key = (kind, right, mirrored)
        some = [r for r in rows if (r["kind"], r["right"], r["mirrored"]) == key]
        angles = [r["angle"] for r in some if np.isfinite(r["angle"])]
        span = f"{min(angles):.0f} to {max(angles):.0f}" if angles else "none"
        names = [kind, "right" if right else "wrong", "yes" if mirrored else "no"]
        lines.append([*names, *counted(r["verdict"] for r in some), span])
    head = ("heads", "axes", "mirrored", "scans", "refused", "warned", "passed", "angles")
    return script.markdown(head, lines)


def main() -> None:
    """Parse, try, print."""
    args = script.options(
        __doc__,
        data=heads.DEFAULT,
        bundle=Path,
        heads=(3, "of each kind"),
        no_mirror=(False, "leave the asymmetry out"),
        json=Path,
    )
    rows = axes(args.data, args.bundle, args.heads)
    print(table(rows))
    sides = {} if args.no_mirror else accuracy(args.data, args.bundle)
    for name, value in sides.items():
        print(f"{name}: {value}")
    script.keep({"axes": rows, "mirror": sides}, args.json)


if __name__ == "__main__":
    main()
