"""How many labels a method needs: 10, 20, 50 and 100 % of them, over several seeds.

In each fold the subjects that are not tested on are ordered once, every class or label range spread
evenly; the first 10 % of them are part of the first 20 %, and so on. A fraction counts all labels
that a system may use: a network spends a quarter of them on choosing its epoch.

    python -m benchmarks.protocols.label_efficiency COHORT --task age --out DIR

See docs/protocols/label_efficiency.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.protocols import command
from benchmarks.protocols.bench import Bench
from benchmarks.protocols.report import ProtocolReport, curves
from benchmarks.protocols.scores import score, value
from benchmarks.protocols.study import Fold, Study, folds, inner
from benchmarks.protocols.systems import NAMES, repeated
from fmtool.errors import InputError
from training.cohort.split_make import interleaved, strata_of, typical

QUESTION = "how many labels does a method need?"
FRACTIONS = (0.1, 0.2, 0.5, 1.0)
DEFAULT = ("LP SimCLR", "FT SimCLR", "supervised ResNet-18")
SHOWN = ("system", "task", "fraction", "labelled", "metric", "value", "seed_sd", "difference")
REMARK = (
    "value: mean over seeds of the out-of-fold figure, each subject counting once, with its 95 % "
    "interval; seed_sd: standard deviation of a single seed's figure (other folds, subsets and "
    "first weights, the same pretrained encoder); labelled: subjects with a label per fold, on "
    "average."
)


def nested(study: Study, fold: Fold, fractions: Sequence[float], seed: int) -> dict[float, Fold]:
    """The fold with fewer labels: of each fraction, whose subjects include the smaller ones'.

    Raises:
        InputError: if a fraction leaves too few subjects to fit and to choose an epoch.
    """
    labels: dict[str, list[float]] = {}
    for i in fold.fitted:
        labels.setdefault(study.rows[i].subject, []).append(study.rows[i].label)
    means = {subject: typical(values, study.task) for subject, values in labels.items()}
    rng = np.random.default_rng(seed)
    order = interleaved(sorted(means), strata_of(means, study.task), rng)
    names = np.array(study.subjects)
    found = {}
    for fraction in sorted(fractions):
        kept = order[: round(fraction * len(order))]
        rest = np.array([i for i in sorted(fold.fitted) if names[i] in kept], dtype=np.intp)
        found[fraction] = inner(study, rest, fold.test, seed)
    return found


def feasible(
    study: Study, plans: Sequence[Sequence[Fold]], fractions: Sequence[float], seed: int
) -> tuple[list[float], list[str]]:
    """The fractions that leave enough subjects in every fold, and a sentence on each other."""
    kept, left_out = [], []
    for fraction in fractions:
        try:
            for r, plan in enumerate(plans):
                for fold in plan:
                    nested(study, fold, [fraction], seed + r)
            kept.append(fraction)
        except InputError as error:
            left_out.append(f"{study.task.name}: {fraction:.0%} of the labels is left out: {error}")
    if not kept:
        raise InputError(f"{study.name} has too few subjects for any fraction; {left_out[-1]}")
    return kept, left_out


def run(
    studies: Sequence[Study],
    bench: Bench,
    systems: Sequence[str] = DEFAULT,
    fractions: Sequence[float] = FRACTIONS,
    count: int = 5,
    seeds: int = 3,
    seed: int = 42,
) -> ProtocolReport:
    """A row per task, system and fraction."""
    bench.pretrain_seed = seed
    rows, remarks = [], [REMARK]
    for study in studies:
        plans = [folds(study, count, seed + r) for r in range(seeds)]
        kept, left_out = feasible(study, plans, fractions, seed)
        remarks += left_out
        for fraction in kept:
            fewer = [
                [nested(study, fold, [fraction], seed + r)[fraction] for fold in plan]
                for r, plan in enumerate(plans)
            ]
            baseline = repeated("constant", bench, study, fewer, seed)
            labelled = np.mean([_subjects(study, fold) for plan in fewer for fold in plan])
            for name in systems:
                found = repeated(name, bench, study, fewer, seed)
                single = [value(study, one, p) for one, p in zip(found, fewer, strict=True)]
                more = {
                    "fraction": fraction,
                    "labelled": float(labelled),
                    "seed_sd": float(np.std(single, ddof=1)) if seeds > 1 else None,
                    "folds": count,
                }
                rows.append(score(study, name, found, baseline, fewer, **more))
                command.tell(f"{name} with {fraction:.0%} of {study.task.name} is done")
    about = command.facts(bench, studies[0], seed, folds=count, seeds=seeds)
    return ProtocolReport(
        "label_efficiency", QUESTION, about, rows, [about["pretraining"], *remarks]
    )


def _subjects(study: Study, fold: Fold) -> int:
    return len({study.rows[i].subject for i in fold.fitted})


def main() -> None:
    """Parse, fit, write, print."""
    parser = command.parser(__doc__)
    parser.add_argument("--system", action="append", choices=NAMES)
    parser.add_argument("--fraction", action="append", type=float, help="10, 20, 50, 100 %% if not")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    bench = command.bench(args)
    studies = [command.study(args, task) for task in args.task or ("age",)]
    systems, fractions = args.system or DEFAULT, args.fraction or FRACTIONS
    report = run(studies, bench, systems, fractions, args.folds, args.seeds, args.seed)
    figure = curves(report.rows, report.title, "fraction", "share of the labels", log=True)
    report.write(args.out, figure)
    report.print(SHOWN)


if __name__ == "__main__":
    command.run(main)
