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

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shared import asymmetry, heads
from benchmarks.shared.judge import counted, judge
from benchmarks.shared.spoiled.field import turned, turns
from fmtool import bundle as bundles
from runtime import scan as scans
from runtime.preprocess.pipeline import Preprocessor

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
    lines = ["| heads | axes | mirrored | scans | refused | warned | passed | angles |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for kind in ("whole", "stripped"):
        for right in (True, False):
            for mirrored in (False, True):
                key = (kind, right, mirrored)
                some = [r for r in rows if (r["kind"], r["right"], r["mirrored"]) == key]
                angles = [r["angle"] for r in some if np.isfinite(r["angle"])]
                counts = counted(r["verdict"] for r in some)
                names = f"{kind} | {'right' if right else 'wrong'} | {'yes' if mirrored else 'no'}"
                span = f"{min(angles):.0f} to {max(angles):.0f}" if angles else "none"
                lines.append(f"| {names} | {counts} | {span} |")
    return "\n".join(lines)


def main() -> None:
    """Parse, try, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=heads.DEFAULT)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--heads", type=int, default=3, help="of each kind")
    parser.add_argument("--no-mirror", action="store_true", help="leave the asymmetry out")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = axes(args.data, args.bundle, args.heads)
    print(table(rows))
    sides = {} if args.no_mirror else asymmetry.accuracy(args.data, args.bundle)
    for name, value in sides.items():
        print(f"{name}: {value}")
    if args.json:
        args.json.write_text(json.dumps({"axes": rows, "mirror": sides}, indent=1) + "\n")


if __name__ == "__main__":
    main()
