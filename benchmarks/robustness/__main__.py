"""Parse, measure, write the table, the picture and the summary that a bundle can carry.

python -m benchmarks.robustness [--bundle B] [--heads FOLDER | --data DIR] [--sets raw,ixi2mm]
    [--per-set N] [--out FOLDER] [--judged] [--by-stage]
"""

from __future__ import annotations

from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.robustness import measure, stages, summary
from benchmarks.robustness.measure import STRIPPED, HeadBench, HeadOutputs
from benchmarks.robustness.perturbations import ALL
from benchmarks.shared import heads, script
from fmtool import __version__
from runtime.batch.inputs import expand
from runtime.predict import Predictor


def main() -> None:
    """Measure and write."""
    args = script.options(
        __doc__,
        bundle=(Path, "the demonstration bundle when absent"),
        heads=(Path, "a folder or a BIDS data set of whole heads of yours, in place of the sets"),
        data=Path,
        sets=("raw,ixi2mm", "cohort too: its heads are stripped"),
        per_set=(int, "at most so many heads of each set, spread"),
        out=Path(".cache/robustness"),
        judged=(False, "only what the bar holds for"),
        by_stage=(False, "which stage moves the outputs"),
    )
    sets = (
        [[path for path in expand([args.heads]) if isinstance(path, Path)]]
        if args.heads
        else [heads.find(args.data, (name,)) for name in args.sets.split(",")]
    )
    paths = [path for one in sets for path in _some(one, args.per_set)]
    args.out.mkdir(parents=True, exist_ok=True)
    with Predictor(args.bundle) as predictor:
        watched = measure.outputs_of(predictor.bundle)
        bench = HeadBench(predictor, watched, "" if args.heads else STRIPPED)
        judged = tuple(one for one in ALL if one.judged)
        if args.by_stage:
            parts = [part for path in paths for part in _told(bench.by_stage(path, judged))]
            text = summary.by_stage(parts, watched)
            (args.out / "stages.md").write_text(text, encoding="utf-8")
            print(text)
            return
        every = (
            replace(row, head=f"own/{number}") if args.heads else row
            for number, path in enumerate(paths, start=1)
            for row in bench.rows(path, judged if args.judged else ALL, tools=not args.judged)
        )
        rows = list(_told(every))
        bundle = {"name": predictor.bundle.name, "digest": predictor.bundle.digest}
        facts = {"bundle": bundle, "engine": predictor.engine.describe(), "fmtool": __version__}
    found = summary.summary(rows, watched, facts, {} if args.judged else stages.absent())
    text = summary.markdown(found)
    script.keep(found, args.out / "robustness.json")
    script.keep(
        [{**asdict(r), "embedding": r.embedding.tolist()} for r in rows], args.out / "rows.json"
    )
    (args.out / "robustness.md").write_text(text, encoding="utf-8")
    if find_spec("matplotlib") is None:
        print("No plot: it needs matplotlib (`pip install 'fmtool[plot]'`)")
    else:
        summary.plot(found, args.out / "robustness.png")
    print(text)
    print("\n".join(summary.verdicts(found)))
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


if __name__ == "__main__":
    main()
