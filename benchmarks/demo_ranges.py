"""Measure the checks' ranges on one half of the real heads and write them into a bundle.

Nothing else of the bundle changes but its digest. The other half is what `benchmarks.detection`
judges.

    python -m benchmarks.demo_ranges [--data DIR] [--bundle DEMO.fmtool]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.shared import halves, heads
from fmtool import bundle as bundles
from fmtool.bundle import DEMO, seal
from runtime import scan as scans
from runtime.preprocess.pipeline import Preprocessor
from runtime.system.atomic import write_bytes
from training.evidence.ranges import ranges


def measured(paths: list[Path], bundle: Path) -> dict[str, list[float]]:
    """The ranges over some heads."""
    facts = []
    with bundles.open(bundle) as opened, Preprocessor(opened) as stages:
        for path in paths:
            facts.append(stages.run(scans.read(path)).facts)
            print(heads.label(path), flush=True)
    return {key: [round(v, 4) for v in found] for key, found in ranges(facts).items()}


def main() -> None:
    """Parse, measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--bundle", type=Path, default=DEMO)
    args = parser.parse_args()
    found = measured(halves.find(halves.MEASURED, args.data), args.bundle)
    path = args.bundle / bundles.MANIFEST
    manifest = json.loads(path.read_bytes())
    manifest["calibration"] = found
    raw = (json.dumps(manifest, indent=1, allow_nan=False) + "\n").encode()
    write_bytes(path, raw)
    write_bytes(path.with_name(seal.FILE), seal.of(raw, path.name))
    with bundles.open(args.bundle) as opened:
        print(json.dumps(found, indent=1), f"digest {opened.digest}", sep="\n")


if __name__ == "__main__":
    main()
