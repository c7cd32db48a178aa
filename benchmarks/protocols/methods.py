"""Which method is best: SimCLR and MAE, probed and fine-tuned, against training from scratch.

The paper's main table, on any cohort: each system predicts every scan by a fold that did not train
on it, and stands beside one answer for everybody (the median), brain volume, and a random encoder.

    python -m benchmarks.protocols.methods COHORT --task age --task sex --out DIR

See docs/protocols/methods.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from benchmarks.protocols import command
from benchmarks.protocols.bench import Bench
from benchmarks.protocols.report import ProtocolReport, forest
from benchmarks.protocols.scores import score, versus
from benchmarks.protocols.study import Study, folds
from benchmarks.protocols.systems import NAMES, SYSTEMS, repeated

QUESTION = "which method predicts best?"
SHOWN = ("system", "task", "metric", "value", "baseline", "difference", "beats_baseline", "versus")
REMARKS = [
    "value: mean over repeats of the out-of-fold figure, each subject counting once, with its 95 % "
    "interval; difference: to the median of the training labels (AUC: to 0.5), paired; versus: to "
    "brain volume alone, paired, with intervals that hold for all rows and tasks at once "
    "(Bonferroni).",
    "value and difference hold row by row: of forty systems that know nothing, one is expected to "
    "beat the baseline.",
    "The interval does not cover the chance of a training's seed; --repeats averages over it.",
]


def compare(
    study: Study,
    bench: Bench,
    systems: Sequence[str],
    count: int,
    repeats: int,
    seed: int,
    tasks: int = 1,
) -> list[dict[str, Any]]:
    """A row per system, in the same folds; "constant" and "brain volume" are always there.

    Args:
        study: scans, labels, task.
        bench: where systems are trained.
        systems: names.
        repeats: cross-validations with other folds and seeds.
        tasks: how many studies the table compares the systems on.
    """
    names = list(dict.fromkeys(("constant", "brain volume", *systems)))
    plans = [folds(study, count, seed + r) for r in range(repeats)]
    found = {}
    for name in names:
        found[name] = repeated(name, bench, study, plans, seed)
        command.tell(f"{name} for {study.task.name} is done")
    rows, comparisons = [], tasks * (len(names) - 1)
    for name in names:
        row = score(study, name, found[name], found["constant"], plans, folds=count)
        row |= versus(study, found[name], found["brain volume"], plans, comparisons)
        rows.append(row)
    return rows


def run(
    studies: Sequence[Study],
    bench: Bench,
    systems: Sequence[str] = tuple(SYSTEMS),
    count: int = 5,
    repeats: int = 1,
    seed: int = 42,
) -> ProtocolReport:
    """Compare the systems on each study (one per task, of the same cohort)."""
    rows = [
        row
        for study in studies
        for row in compare(study, bench, systems, count, repeats, seed, len(studies))
    ]
    about = command.facts(bench, studies[0], seed, folds=count, repeats=repeats)
    return ProtocolReport("methods", QUESTION, about, rows, [about["pretraining"], *REMARKS])


def main() -> None:
    """Parse, compare, write, print."""
    parser = command.parser(__doc__)
    parser.add_argument("--system", action="append", choices=NAMES, help="ours if absent")
    parser.add_argument("--repeats", type=int, default=1)
    args: argparse.Namespace = parser.parse_args()
    bench = command.bench(args)
    studies = [command.study(args, task) for task in args.task or ("age", "sex")]
    systems = args.system or tuple(SYSTEMS)
    report = run(studies, bench, systems, args.folds, args.repeats, args.seed)
    report.write(args.out, forest(report.rows, report.title))
    report.print(SHOWN)


if __name__ == "__main__":
    command.run(main)
