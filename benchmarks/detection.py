"""How many good heads are refused, and how many bad ones are noticed.

The bundle's ranges were measured on one half of the real heads (`benchmarks.demo_ranges`); the
other half is judged here: as it is, and spoiled in every way of
`benchmarks.shared.spoiled.kinds`, seeded. Real bad scans count as they are.

    python -m benchmarks.detection [--data DIR] [--bundle DEMO.fmtool] [--heads 6] [--json FILE]
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shared import heads, script
from benchmarks.shared.judge import counted, judge
from benchmarks.shared.spoiled import kinds
from benchmarks.shared.spoiled.strip import Redrawn
from fmtool import bundle as bundles
from runtime import scan as scans
from runtime.scan import Scan

GOOD = "good"


Row = dict[str, Any]
"""Of one scan: "kind", what is wrong with it or `GOOD`; "scan", its label; "verdict", the gravest
of "ok", "warn" and "refuse"; "by", the checks that were not "ok"."""


def spoiled(stages: Redrawn, path: Path, wanted: list[str]) -> Iterator[tuple[str, Scan]]:
    """One head in every way of `wanted`; the stages have the mask of those whose strip failed."""
    scan, name = scans.read(path), heads.label(path)
    kind_of_head, brain = stages.brain(scan)
    spacing = np.linalg.norm(scan.affine[:3, :3], axis=0)
    for kind in wanted:
        random = np.random.default_rng(zlib.crc32(f"{name} {kind}".encode()))
        if kind in kinds.SCANS:
            yield kind, kinds.SCANS[kind](scan, brain, random)
            continue
        stages.mask = kind_of_head, kinds.MASKS[kind](brain, spacing, random)
        yield kind, scan
        stages.mask = None


def real(folder: Path) -> Iterator[tuple[str, Path]]:
    """The real scans that are no adult's T1-weighted head."""
    for path in sorted((folder / "bad").glob("*.nii.gz")):
        yield "real, other", path
    for path in sorted((folder / "ixi2mm").glob("*_DLMUSE.nii.gz")):
        yield "real, map of labels", path
    for path in sorted((folder / "template").glob("*.nii.gz")):
        yield "real, template", path


def run(folder: Path, bundle: Path | None, count: int) -> Iterator[Row]:
    """Every verdict, the good heads first."""
    judged = heads.of_half(heads.JUDGED, folder)
    plan: dict[Path, list[str]] = {path: [] for path in judged}
    turns = itertools.cycle(judged)
    for kind in [*kinds.SCANS, *kinds.MASKS]:
        for path in itertools.islice(turns, min(count, len(judged))):
            plan[path].append(kind)
    with bundles.open(bundle) as opened, ExitStack() as stack:
        stages = Redrawn(opened)
        stack.enter_context(stages)

        def said(kind: str, name: str, scan: Scan | Path) -> Row:
            found = judge(stages, scan, opened.manifest.calibration)
            return {"kind": kind, "scan": name, "verdict": found.gravest, "by": found.by}

        for path in judged:
            yield said(GOOD, heads.label(path), path)
        for kind, path in real(folder):
            yield said(kind, path.name, path)
        yield said("real, template", "the bundle's", opened.template)
        for path, wanted in plan.items():
            for kind, scan in spoiled(stages, path, wanted):
                yield said(kind, heads.label(path), scan)


def table(found: list[Row]) -> str:
    """Markdown: a row per kind, then the sums."""
    groups = {row["kind"]: [v for v in found if v["kind"] == row["kind"]] for row in found}
    groups["all bad ones"] = [v for v in found if v["kind"] != GOOD]
    rows = [[name, *counted(v["verdict"] for v in some)] for name, some in groups.items()]
    return script.markdown(("kind", "scans", "refused", "warned", "passed"), rows)


def main() -> None:
    """Parse, judge, print."""
    args = script.options(
        __doc__, data=heads.DEFAULT, bundle=Path, heads=(6, "heads spoiled in each way"), json=Path
    )
    found = []
    for row in run(args.data, args.bundle, args.heads):
        found.append(row)
        print(f"{row['kind']}, {row['scan']}: {row['verdict']} {', '.join(row['by'])}", flush=True)
    print(table(found))
    refused = np.mean([v["verdict"] == "refuse" for v in found if v["kind"] == GOOD])
    noticed = np.mean([v["verdict"] != "ok" for v in found if v["kind"] != GOOD])
    print(f"good heads refused: {100 * refused:.1f} %; bad scans noticed: {100 * noticed:.1f} %")
    script.keep(found, args.json)


if __name__ == "__main__":
    main()
