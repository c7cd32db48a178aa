"""Measure the checks' ranges on one half of the real heads and write them into a bundle.

Nothing else of the bundle changes but its digest. The other half is what `benchmarks.detection`
judges.

    python -m benchmarks.demo_ranges [--data DIR] [--bundle DEMO.fmtool]
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from benchmarks.shared import heads, script
from fmtool import bundle as bundles
from fmtool.bundle import DEMO, Bundle
from fmtool.bundle import write as bundle_write
from runtime import scan as scans
from runtime.preprocess.pipeline import Preprocessor
from training.evidence.ranges import ranges


def measured(paths: list[Path], bundle: Bundle) -> dict[str, list[float]]:
    """The ranges over some heads."""
    facts = []
    with Preprocessor(bundle) as stages:
        for path in paths:
            facts.append(stages.run(scans.read(path)).facts)
            print(heads.label(path), flush=True)
    return {key: [round(v, 4) for v in found] for key, found in ranges(facts).items()}


def main() -> None:
    """Parse, measure, write, print."""
    args = script.options(__doc__, data=Path, bundle=DEMO)
    with bundles.open(args.bundle) as opened:
        found = measured(heads.of_half(heads.MEASURED, args.data), opened)
        manifest = replace(opened.manifest, calibration=found)
        files: dict[str, Path | bytes] = {name: opened.file(name) for name in manifest.files}
        anew = bundle_write.write(args.bundle, manifest, files, overwrite=True)
    print(json.dumps(found, indent=1), f"digest {anew.digest}", sep="\n")


if __name__ == "__main__":
    main()
