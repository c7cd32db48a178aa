"""Parse, measure, write the table, the picture and the summary that a bundle can carry.

python -m benchmarks.robustness [--bundle B] [--data DIR] [--sets raw,ixi2mm] [--per-set N]
    [--out FOLDER] [--judged] [--by-stage]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.robustness import measure, stages, table
from benchmarks.robustness.measure import HeadBench, HeadOutputs
from benchmarks.robustness.perturbations import ALL
from benchmarks.robustness.summary import summary
from benchmarks.shared import heads
from fmtool import __version__
from runtime.predict import Predictor


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.robustness", description=__doc__)
    parser.add_argument("--bundle", type=Path, help="the demonstration bundle when absent")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", default="raw,ixi2mm", help="cohort too: its heads are stripped")
    parser.add_argument("--per-set", type=int, help="at most so many heads of each set, spread")
    parser.add_argument("--out", type=Path, default=Path(".cache/robustness"))
    parser.add_argument("--judged", action="store_true", help="only what the bar holds for")
    parser.add_argument("--by-stage", action="store_true", help="which stage moves the outputs")
    args = parser.parse_args()
    paths = [
        path
        for name in args.sets.split(",")
        for path in _some(heads.find(args.data, (name,)), args.per_set)
    ]
    args.out.mkdir(parents=True, exist_ok=True)
    with Predictor(args.bundle) as predictor:
        watched = measure.outputs_of(predictor.bundle)
        bench = HeadBench(predictor, watched)
        judged = tuple(one for one in ALL if one.judged)
        if args.by_stage:
            parts = [part for path in paths for part in _told(bench.by_stage(path, judged))]
            text = table.by_stage(parts, watched)
            (args.out / "stages.md").write_text(text, encoding="utf-8")
            print(text)
            return
        every = (
            row
            for path in paths
            for row in bench.rows(path, judged if args.judged else ALL, tools=not args.judged)
        )
        rows = list(_told(every))
        bundle = {"name": predictor.bundle.name, "digest": predictor.bundle.digest}
        facts = {"bundle": bundle, "engine": predictor.engine.describe(), "fmtool": __version__}
    found = summary(rows, watched, facts, {} if args.judged else stages.absent())
    text = table.markdown(found)
    _write(args.out / "robustness.json", found)
    _write(args.out / "rows.json", [{**asdict(r), "embedding": r.embedding.tolist()} for r in rows])
    (args.out / "robustness.md").write_text(text, encoding="utf-8")
    table.plot(found, args.out / "robustness.png")
    print(text)
    print("\n".join(table.verdicts(found)))
    for name, reason in found["skipped"].items():
        print(f"{name}: skipped, {reason}")


def _some(paths: list[Path], most: int | None) -> list[Path]:
    """At most so many of a list, evenly spread over it."""
    if most is None or most >= len(paths):
        return paths
    return [paths[i * len(paths) // most] for i in range(most)]


def _told(found: Any) -> Any:
    """Each item as it comes, after its name is printed: the whole takes a while."""
    for item in found:
        row: HeadOutputs = item if isinstance(item, HeadOutputs) else item[1]
        print(row.head, row.name, row.values or row.refused, flush=True)
        yield item


def _write(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
