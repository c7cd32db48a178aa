"""How many good heads are refused, and how many bad ones are noticed.

The bundle's ranges were measured on one half of the real heads (`benchmarks.demo_ranges`); the
other half is judged here: as it is, and spoiled in every way of
`benchmarks.shared.spoiled.kinds`, seeded. Real bad scans count as they are.

    python -m benchmarks.detection [--data DIR] [--bundle DEMO.fmtool] [--heads 6] [--json FILE]
"""

from __future__ import annotations

import argparse
import itertools
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.shared import heads
from benchmarks.shared.judge import counted, judge
from benchmarks.shared.spoiled import kinds
from benchmarks.shared.spoiled.strip import Redrawn
from fmtool import bundle as bundles
from runtime import scan as scans
from runtime.scan import Scan

GOOD = "good"


@dataclass(frozen=True)
class Judged:
    """What the checks said of one scan.

    Attributes:
        kind: what is wrong with it, or `GOOD`.
        scan: its label.
        verdict: the gravest: "ok", "warn" or "refuse".
        by: the checks that were not "ok".
    """

    kind: str
    scan: str
    verdict: str
    by: tuple[str, ...]


class Judge:
    """Prepares scans and asks the checks."""

    def __init__(self, stages: Redrawn, calibration: Mapping[str, list[float]]) -> None:
        self.stages = stages
        self.calibration = calibration

    def __call__(self, kind: str, name: str, scan: Scan | Path) -> Judged:
        """What they say of a scan."""
        found = judge(self.stages, scan, self.calibration)
        return Judged(kind, name, found.gravest, found.by)


def spoiled(judge: Judge, path: Path, wanted: list[str]) -> Iterator[Judged]:
    """One head in every way of `wanted`."""
    scan, name = scans.read(path), heads.label(path)
    kind_of_head, brain = judge.stages.brain(scan)
    spacing = np.linalg.norm(scan.affine[:3, :3], axis=0)
    for kind in wanted:
        random = np.random.default_rng(zlib.crc32(f"{name} {kind}".encode()))
        if kind in kinds.SCANS:
            yield judge(kind, name, kinds.SCANS[kind](scan, brain, random))
            continue
        judge.stages.mask = kind_of_head, kinds.MASKS[kind](brain, spacing, random)
        yield judge(kind, name, scan)
        judge.stages.mask = None


def real(folder: Path) -> Iterator[tuple[str, Path]]:
    """The real scans that are no adult's T1-weighted head."""
    for path in sorted((folder / "bad").glob("*.nii.gz")):
        yield "real, other", path
    for path in sorted((folder / "ixi2mm").glob("*_DLMUSE.nii.gz")):
        yield "real, map of labels", path
    for path in sorted((folder / "template").glob("*.nii.gz")):
        yield "real, template", path


def run(folder: Path, bundle: Path | None, count: int) -> Iterator[Judged]:
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
        judge = Judge(stages, opened.manifest.calibration)
        for path in judged:
            yield judge(GOOD, heads.label(path), path)
        for kind, path in real(folder):
            yield judge(kind, path.name, path)
        yield judge("real, template", "the bundle's", opened.template)
        for path, wanted in plan.items():
            yield from spoiled(judge, path, wanted)


def table(found: list[Judged]) -> str:
    """Markdown: a row per kind, then the sums."""
    rows = ["| kind | scans | refused | warned | passed |", "|---|---|---|---|---|"]
    bad = [v for v in found if v.kind != GOOD]
    groups = {kind: [v for v in found if v.kind == kind] for kind in {v.kind: 0 for v in found}}
    for name, group in [*groups.items(), ("all bad ones", bad)]:
        rows.append(f"| {name} | {counted(v.verdict for v in group)} |")
    return "\n".join(rows)


def main() -> None:
    """Parse, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=heads.DEFAULT)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--heads", type=int, default=6, help="heads spoiled in each way")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    found = []
    for verdict in run(args.data, args.bundle, args.heads):
        found.append(verdict)
        print(
            f"{verdict.kind}, {verdict.scan}: {verdict.verdict} {', '.join(verdict.by)}", flush=True
        )
    print(table(found))
    bad = [v for v in found if v.kind != GOOD]
    good = [v for v in found if v.kind == GOOD]
    refused = sum(v.verdict == "refuse" for v in good) / len(good)
    noticed = sum(v.verdict != "ok" for v in bad) / len(bad)
    print(f"good heads refused: {100 * refused:.1f} %; bad scans noticed: {100 * noticed:.1f} %")
    if args.json:
        args.json.write_text(json.dumps([asdict(v) for v in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
