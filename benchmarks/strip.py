"""Skull stripping against deepbet in torch: agreement and time, a row per head.

    python -m benchmarks.strip [--data DIR] [--json FILE]

Every T1-weighted NIfTI of DIR's folders `raw`, `ixi2mm` and `cohort` goes through both, in turn,
in one process on all cores; times are single runs, networks already loaded. `--data` defaults to
the environment variable FMTOOL_TEST_DATA.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from benchmarks.shared import heads, script
from export.parts.strip import export_strip
from fmtool import bundle as bundles
from fmtool.bundle import Bundle
from runtime.preprocess.strip import StripNets, strip


def networks(folder: Path) -> Bundle:
    """The demonstration bundle with the two networks freshly exported into `folder`."""
    export_strip(folder)
    return Bundle(folder, bundles.open().manifest, digest="")


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Twice the overlap over the sum of the sizes."""
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


def compare(path: Path, nets: StripNets, reference: Any) -> dict[str, Any]:
    """One head through both: "head", "dice", "seconds", "deepbet_seconds", "ratio"."""
    image = nib.as_closest_canonical(nib.load(path))
    array = np.asarray(image.dataobj, dtype=np.float32)
    ours, seconds = script.timed(lambda: strip(array, nets))
    theirs, reference_seconds = script.timed(lambda: reference.run(image)[1])
    return {
        "head": f"{path.parent.name}/{path.name}",
        "dice": dice(ours, np.asarray(theirs.dataobj) > 0),
        "seconds": seconds,
        "deepbet_seconds": reference_seconds,
        "ratio": reference_seconds / seconds,
    }


def main() -> None:
    """Print a row per head and the extremes; write them as JSON where asked."""
    args = script.options(__doc__, data=Path, json=Path)
    paths = heads.find(args.data)
    from deepbet.bet import BrainExtraction

    reference = BrainExtraction(no_gpu=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder, StripNets(networks(Path(folder))) as nets:
        for path in paths:
            row = compare(path, nets, reference)
            rows.append(row)
            print(
                f"{row['head']:38} Dice {row['dice']:.5f}  {row['seconds']:5.2f} s  "
                f"deepbet {row['deepbet_seconds']:5.2f} s  ratio {row['ratio']:.1f}",
                flush=True,
            )
    worst = min(row["dice"] for row in rows)
    ratio = float(np.median([row["ratio"] for row in rows]))
    print(f"{len(rows)} heads: smallest Dice {worst:.5f}, median ratio {ratio:.1f}")
    summary = {"smallest_dice": worst, "median_ratio": ratio, "heads": rows}
    script.keep(summary, args.json)


if __name__ == "__main__":
    main()
