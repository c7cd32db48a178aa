"""The bias field against SimpleITK's N4 on real heads: agreement, accuracy, speed.

Both get the same mask and the same settings (four levels of at most 50 iterations), and both give
the field on the full grid. With `frame="scan"` both also get the same voxels (shrink factor 4) and
mesh; `head` is what the pipeline takes, `frame="head"`: other voxels and another mesh. For every
head:

* `correlation` of the two log fields in the mask, and `head_correlation`; `itk_itself` is that of
  SimpleITK with itself when it looks at every second voxel instead (third below 1.5 mm): what the
  choice of voxels alone does;
* a known smooth field is put on the head as SimpleITK corrects it (which favours SimpleITK), and
  `residual_*` is the standard deviation in the mask of the found log field minus the known one;
  `known` is that of the known field, what is left without any correction;
* the known field is put on the head as it is (which favours nobody), and `again_*` is the standard
  deviation of the found log field minus the known one and the one found without it;
* seconds on this machine in this run: SimpleITK's one run with all cores, fmtool's median (`head`).

The brain masks: the labels that come with a head, the outline of a stripped head, or deepbet's.

    python -m benchmarks.bias [--data DIR] [--sets raw,ixi2mm,cohort] [--per-set N] [--json FILE]
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.shared import heads, script
from benchmarks.shared.peers import chain
from runtime.preprocess import bias
from runtime.system.machine import cores

_REPEATS = 5

_COLUMNS = {
    "head": "{}",
    "correlation": "{:.4f}",
    "head_correlation": "{:.4f}",
    "itk_itself": "{:.4f}",
    "known": "{:.4f}",
    "residual_itk": "{:.4f}",
    "residual": "{:.4f}",
    "residual_ratio": "{:.3f}",
    "again_itk": "{:.4f}",
    "again_head": "{:.4f}",
    "itk_s": "{:.2f}",
    "fmtool_s": "{:.3f}",
    "speedup": "{:.0f}",
}

Volume = NDArray[np.float32]
Mask = NDArray[np.bool_]


def brain_mask(path: Path, image: nib.Nifti1Image) -> Mask:
    """The brain of a head of one of the sets, on `image`'s grid."""
    labels = path.with_name(path.name.replace("_ds.", "_ds_DLMUSE."))
    if labels != path and labels.exists():
        return np.asarray(nib.as_closest_canonical(nib.load(labels)).dataobj) > 0
    if path.parent.name == "cohort":
        return np.asarray(image.dataobj) > 0
    return chain.deepbet_mask(image)


def itk_n4(volume: Volume, mask: Mask, shrink: int = 4) -> Volume:
    """SimpleITK's N4: the log field on the full grid, (x, y, z)."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.T))
    label = sitk.GetImageFromArray(np.ascontiguousarray(mask.T).astype(np.uint8))
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([50] * 4)
    n4.Execute(sitk.Shrink(image, [shrink] * 3), sitk.Shrink(label, [shrink] * 3))
    return np.asarray(sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)).T)


def known_field(shape: tuple[int, ...]) -> Volume:
    """A smooth log field over the whole volume that no B-spline mesh here holds exactly."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij", sparse=True)
    field = 0.25 * (x - 0.3) ** 2 - 0.2 * y * z + 0.15 * np.sin(2 * z + x)
    return np.asarray(field, dtype=np.float32)


def measure(path: Path) -> dict[str, Any]:
    """One head's row."""
    image = nib.as_closest_canonical(nib.load(path))
    volume = np.asarray(image.dataobj, dtype=np.float32)
    mask = brain_mask(path, image)
    x, y, z = (float(s) for s in image.header.get_zooms()[:3])

    theirs, itk_s = script.timed(lambda: itk_n4(volume, mask))
    runs = [script.timed(lambda: bias.n4(volume, mask, (x, y, z), "head")) for _ in range(_REPEATS)]
    head, fmtool_s = runs[-1][0], statistics.median(seconds for _, seconds in runs)
    ours = bias.n4(volume, mask, (x, y, z))
    closer = itk_n4(volume, mask, 2 if max(x, y, z) > 1.5 else 3)

    known = known_field(volume.shape)
    biased = volume / np.exp(theirs) * np.exp(known)
    residual_itk = float((itk_n4(biased, mask) - known)[mask].std())
    residual = float((bias.n4(biased, mask, (x, y, z)) - known)[mask].std())
    above = volume * np.exp(known)

    def alike(field: Volume) -> float:
        return float(np.corrcoef(field[mask], theirs[mask])[0, 1])

    def again(field: Volume, without: Volume) -> float:
        return float((field - without - known)[mask].std())

    return {
        "head": heads.label(path),
        "shape": list(volume.shape),
        "spacing": [x, y, z],
        "mask_voxels": int(mask.sum()),
        "correlation": alike(ours),
        "head_correlation": alike(head),
        "itk_itself": alike(closer),
        "known": float(known[mask].std()),
        "residual_itk": residual_itk,
        "residual": residual,
        "residual_ratio": residual / residual_itk,
        "again_itk": again(itk_n4(above, mask), theirs),
        "again_head": again(bias.n4(above, mask, (x, y, z), "head"), head),
        "itk_s": itk_s,
        "fmtool_s": fmtool_s,
        "speedup": itk_s / fmtool_s,
    }


def main() -> None:
    """Measure, print a table, and write JSON."""
    args = script.options(
        __doc__,
        data=Path,
        sets=",".join(heads.SETS),
        per_set=(int, "at most so many heads of each set"),
        json=Path,
    )
    paths = [p for s in args.sets.split(",") for p in heads.find(args.data, (s,))[: args.per_set]]

    rows = []
    console = Console(stderr=True)
    for path in paths:
        rows.append(measure(path))
        console.print(f"{len(rows)}/{len(paths)} {rows[-1]['head']}")
    summary = {
        "heads": len(rows),
        "cores": cores(),
        "min_correlation": min(r["correlation"] for r in rows),
        "min_head_correlation": min(r["head_correlation"] for r in rows),
        "min_itk_itself": min(r["itk_itself"] for r in rows),
        "max_again_ratio": max(r["again_head"] / r["again_itk"] for r in rows),
        "max_residual_ratio": max(r["residual_ratio"] for r in rows),
        "median_speedup": statistics.median(r["speedup"] for r in rows),
        "min_speedup": min(r["speedup"] for r in rows),
        "max_fmtool_s": max(r["fmtool_s"] for r in rows),
    }
    script.show(rows, _COLUMNS, 200)
    script.tell(summary, args.json, {"summary": summary, "heads": rows})


if __name__ == "__main__":
    main()
