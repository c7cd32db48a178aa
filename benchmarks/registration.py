"""Rigid registration: how far from antsRegistrationSyNQuick[r], how robust, how fast.

Every real head is stripped by deepbet (stripped heads too: what another tool left of neck and
skull base comes off) and bias-corrected once; fmtool and SyNQuick then register the same volume to
the same template. Distances are displacements of the template brain's points, mm. Three questions
per head:

* the distance between the two answers;
* `--starts` seeded false headers (rotated up to 30 degrees about a random axis, shifted up to
  40 mm): how many return within 0.5 mm of the undisturbed answer, are flagged, or are wrong;
* the same volume given to SyNQuick `--repeats` times more: how far it is from itself, below which
  a distance to it means nothing (ANTs draws its samples anew each time).

    python -m benchmarks.registration [--data DIR] [--template FILE] [--cache DIR]
        [--sets raw,ixi2mm,cohort] [--starts 100] [--repeats 0] [--json FILE]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from benchmarks.shared import heads, script
from benchmarks.shared.peers import chain
from runtime.preprocess import bias, register
from runtime.preprocess.template import Template
from runtime.transform import about

Matrix = NDArray[np.float64]

RETURNED_MM = 0.5


def brain(path: Path, cache: Path) -> tuple[NDArray[np.float32], Matrix]:
    """A head's bias-corrected brain, zero outside, canonical (x, y, z), and its affine; kept."""
    kept = cache / f"{heads.label(path).replace('/', '_')}_brain.npz"
    if not kept.exists():
        image = nib.as_closest_canonical(nib.load(path))
        scan = image.get_fdata(dtype=np.float32)
        mask = chain.deepbet_mask(image)  # of stripped heads too: strips leave neck and skull base
        x, y, z = (float(s) for s in image.header.get_zooms()[:3])
        corrected = np.where(mask, bias.correct(scan, mask, (x, y, z)), np.float32(0.0))
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(kept.with_suffix(".partial.npz"), corrected=corrected, affine=image.affine)
        kept.with_suffix(".partial.npz").rename(kept)
    with np.load(kept) as found:
        return found["corrected"], found["affine"]


def distance(first: Matrix, second: Matrix, points: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and maximum distance in mm between where two 4x4 send points (n, 3)."""
    apart = first - second
    moved = np.linalg.norm(points @ apart[:3, :3].T + apart[:3, 3], axis=1)
    return float(moved.mean()), float(moved.max())


def false_header(
    generator: np.random.Generator, centre: NDArray[np.float64], degrees: float, millimetres: float
) -> Matrix:
    """A random 4x4 on scan RAS mm: up to `degrees` about an axis through `centre`, then a shift."""
    axis, way = generator.normal(size=(2, 3))
    turn = np.deg2rad(generator.uniform(0.0, degrees)) * axis / np.linalg.norm(axis)
    shift = generator.uniform(0.0, millimetres) * way / np.linalg.norm(way)
    return about(centre, turn, shift)


def reference(
    moving: NDArray[np.float32], affine: Matrix, template: Template, kept: Path
) -> Matrix:
    """SyNQuick's answer, computed once."""
    if not kept.exists():
        found = chain.syn_quick_rigid(moving, affine, template.array, template.affine)
        np.save(kept, found)
    return np.load(kept)


def measure(
    path: Path, template: Template, cache: Path, tag: str, starts: int, repeats: int
) -> dict[str, Any]:
    """Everything about one head."""
    moving, affine = brain(path, cache)
    register.rigid(moving, affine, None, template)  # the template's points are made once
    ours, seconds = script.timed(lambda: register.rigid(moving, affine, None, template))
    index = np.argwhere(template.mask)[::37]
    points = index @ template.affine[:3, :3].T + template.affine[:3, 3]
    centre = ours.matrix[:3, :3] @ points.mean(axis=0) + ours.matrix[:3, 3]

    name = heads.label(path).replace("/", "_")
    theirs = reference(moving, affine, template, cache / f"{name}_{tag}.npy")
    own = []
    for i in range(repeats):
        again = reference(moving, affine, template, cache / f"{name}_{tag}_{i}.npy")
        own.append(distance(again, theirs, points))

    generator = np.random.default_rng(7)
    fate = {"returned": 0, "flagged": 0, "wrong": 0}
    for _ in range(starts):
        header = false_header(generator, centre, 30.0, 40.0)
        found = register.rigid(moving, header @ affine, None, template)
        off = distance(np.linalg.inv(header) @ found.matrix, ours.matrix, points)[0]
        fate["returned" if off <= RETURNED_MM else "wrong" if found.ok else "flagged"] += 1
    mean, most = distance(ours.matrix, theirs, points)
    return {
        "mean_mm": mean,
        "max_mm": most,
        "reference_to_itself_mm": own,
        "starts": fate,
        "similarity": ours.similarity,
        "overlap": ours.overlap,
        "ok": ours.ok,
        "seconds": seconds,
        "workload_seconds": workload(),
    }


def workload() -> float:
    """Seconds for a fixed piece of NumPy work: what the machine has to spare at this moment."""
    matrix = np.random.default_rng(0).random((1200, 1200))
    return script.timed(lambda: [matrix @ matrix for _ in range(4)])[1]


def main() -> None:
    """Measure, print, and write JSON."""
    args = script.options(
        __doc__,
        data=Path,
        template=(Path, "the demonstration bundle's when absent"),
        cache=Path(".cache/registration"),
        sets="raw,ixi2mm,cohort",
        starts=100,
        repeats=0,
        json=Path,
    )
    template = Template.load(args.template)
    tag = args.template.name.split(".")[0] if args.template else "demo"
    found = {}
    for path in heads.find(args.data, tuple(args.sets.split(","))):
        row = measure(path, template, args.cache, tag, args.starts, args.repeats)
        found[heads.label(path)] = row
        own = " ".join(f"{a:.2f}/{b:.2f}" for a, b in row["reference_to_itself_mm"])
        print(
            f"{heads.label(path):32s} to SyNQuick {row['mean_mm']:.2f}/{row['max_mm']:.2f} mm"
            f" (SyNQuick to itself {own or '-'})  {row['starts']}  similarity"
            f" {row['similarity']:.2f}  {row['seconds']:.2f} s"
            f"  workload {row['workload_seconds']:.2f} s",
            flush=True,
        )
    rows = list(found.values())
    summary = {
        "heads": len(rows),
        "median_mean_mm": float(np.median([r["mean_mm"] for r in rows])),
        "median_max_mm": float(np.median([r["max_mm"] for r in rows])),
        "worst_mean_mm": max(r["mean_mm"] for r in rows),
        "worst_max_mm": max(r["max_mm"] for r in rows),
        "starts": {k: sum(r["starts"][k] for r in rows) for k in ("returned", "flagged", "wrong")},
        "median_seconds": float(np.median([r["seconds"] for r in rows])),
        "median_workload_seconds": float(np.median([r["workload_seconds"] for r in rows])),
    }
    script.tell(summary, args.json, {"summary": summary, "heads": found})


if __name__ == "__main__":
    main()
