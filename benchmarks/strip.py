"""Skull stripping against deepbet in torch: agreement and time, a row per head.

    python -m benchmarks.strip [--data DIR] [--json FILE]

Every T1-weighted NIfTI of DIR's folders `raw`, `ixi2mm` and `cohort` goes through both, in turn,
in one process on all cores; times are single runs, networks already loaded. `--data` defaults to
the environment variable FMTOOL_TEST_DATA.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from export.parts.strip import export_strip
from fmtool import bundle as bundles
from fmtool.bundle import Bundle
from runtime.preprocess.strip import StripNets, strip


def networks(folder: Path) -> Bundle:
    """The demonstration bundle with the two networks freshly exported into `folder`."""
    export_strip(folder)
    return Bundle(folder, bundles.open().manifest, digest="")


def heads(data: Path) -> list[Path]:
    """The T1-weighted heads below `data`."""
    patterns = ("raw/*_T1w.nii.gz", "ixi2mm/*_ds.nii.gz", "cohort/*_T1w.nii.gz")
    return [path for pattern in patterns for path in sorted(data.glob(pattern))]


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Twice the overlap over the sum of the sizes."""
    return float(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))


def compare(path: Path, nets: StripNets, reference: Any) -> dict[str, Any]:
    """One head through both: "head", "dice", "seconds", "deepbet_seconds", "ratio"."""
    image = nib.as_closest_canonical(nib.load(path))
    array = np.asarray(image.dataobj, dtype=np.float32)
    ours, seconds = _timed(lambda: strip(array, nets))
    theirs, reference_seconds = _timed(lambda: reference.run(image)[1])
    return {
        "head": f"{path.parent.name}/{path.name}",
        "dice": dice(ours, np.asarray(theirs.dataobj) > 0),
        "seconds": seconds,
        "deepbet_seconds": reference_seconds,
        "ratio": reference_seconds / seconds,
    }


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def main() -> None:
    """Print a row per head and the extremes; write them as JSON where asked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.strip", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("FMTOOL_TEST_DATA"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.data is None or not heads(options.data):
        parser.error(f"no heads in {options.data}; say --data DIR or set FMTOOL_TEST_DATA")
    from deepbet.bet import BrainExtraction

    reference = BrainExtraction(no_gpu=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder, StripNets(networks(Path(folder))) as nets:
        for path in heads(options.data):
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
    if options.json:
        summary = {"smallest_dice": worst, "median_ratio": ratio, "heads": rows}
        options.json.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
