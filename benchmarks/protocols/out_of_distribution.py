"""Does it hold elsewhere: trained on one site or data set, tested on another.

Each system stands three times: cross-validated where it is trained (in distribution); the same
folds' heads tested on the other (out of distribution); and cross-validated within the other,
which tells a change of scanner from people who are harder to predict. The other's scans train
nothing and pretrain nothing before they are tested.

    python -m benchmarks.protocols.out_of_distribution COHORT --test OTHER --task age --out DIR
    python -m benchmarks.protocols.out_of_distribution COHORT --test-site NAME --task age --out DIR

See docs/protocols/out_of_distribution.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocols import command, pairing
from benchmarks.protocols.bench import Bench
from benchmarks.protocols.pairing import by_site, check_apart, together
from benchmarks.protocols.report import ProtocolReport, forest
from benchmarks.protocols.scores import draws, figure, interval, score, versus
from benchmarks.protocols.study import Fold, Plans, Study, folds
from benchmarks.protocols.systems import NAMES, repeated
from fmtool.errors import InputError, UsageError

Array = NDArray[np.float64]

QUESTION = "does it hold elsewhere?"
FEW = 20
DEFAULT = ("constant", "brain volume", "LP random", "LP SimCLR")
INSIDE, OUTSIDE, WITHIN = "in distribution", "out of distribution", "within the other"
SHOWN = ("system", "task", "sample", "metric", "value", "baseline", "shift", "versus", "subjects")
REMARKS = [
    "shift: the figure out of distribution minus that in distribution, resampling the subjects of "
    "both; versus: out of distribution against within the other, paired by subject.",
    "baseline: the training labels' median (AUC: 0.5); out of distribution that of the training "
    "cohort, which is off where the other's labels differ.",
]


def run(
    pairs: Sequence[tuple[Study, Study]],
    bench: Bench,
    systems: Sequence[str] = DEFAULT,
    count: int = 5,
    repeats: int = 1,
    seed: int = 42,
) -> ProtocolReport:
    """Rows of each system on each pair (one per task) of a training study and another.

    Raises:
        InputError: if an image is in both, or the training study has too few subjects.
    """
    rows, remarks = [], []
    for source, target in pairs:
        check_apart(source, target)
        found, told = _compare(source, target, bench, systems, count, repeats, seed)
        rows += found
        warned = [pairing.warning(source, target), pairing.spread_within(source)]
        remarks += [f"{source.task.name}: {sentence}" for sentence in [*warned, *told] if sentence]
    source, target = pairs[0]
    about = command.facts(bench, source, seed, folds=count, repeats=repeats)
    about |= {"synthetic": source.synthetic or target.synthetic, "tested_on": target.name}
    about |= {"tested_scans": len(target.rows), "tested_sites": list(target.sites)}
    return ProtocolReport(
        "out_of_distribution", QUESTION, about, rows, [*remarks, _pretraining(bench), *REMARKS]
    )


def _compare(
    source: Study,
    target: Study,
    bench: Bench,
    systems: Sequence[str],
    count: int,
    repeats: int,
    seed: int,
) -> tuple[list[dict[str, Any]], list[str]]:
    seeds = [seed + r for r in range(repeats)]
    both = together(source, target)
    first = np.arange(len(source.rows))
    home = [folds(source, count, s) for s in seeds]
    away = [[_elsewhere(f, len(both.rows), len(first), bench) for f in plan] for plan in home]
    told = []
    try:
        there = [folds(target, count, s) for s in seeds]
    except InputError as error:
        there = []
        told.append(f"{target.name} is not cross-validated by itself: {error}.")
    tested = len(set(target.subjects))
    if tested < FEW:
        told.append(
            f"{tested} subjects of {target.name} are few: a wide interval settles nothing, and "
            "that of an AUC of 1 has no width although the truth is not certain, which makes that "
            "of its shift too narrow."
        )
    # The other's scans must not be pretrained on; within the other, the same encoder is probed.
    unseen = replace(bench, transductive=False)
    same = bench if bench.pool is not None else replace(bench, pool=list(source.entries))

    def every(name: str) -> dict[str, Array]:
        found = {
            INSIDE: repeated(name, bench, source, home, seed),
            OUTSIDE: np.concatenate(
                [
                    repeated(name, unseen, both, [[f] for f in plan], s, still=True)
                    for plan, s in zip(away, seeds, strict=True)
                ]
            )[:, len(first) :],
        }
        if there:
            found[WITHIN] = repeated(name, same, target, there, seed)
        command.tell(f"{name} for {source.task.name} is done")
        return found

    fixed, rows = every("constant"), []
    where = {INSIDE: source, OUTSIDE: target, WITHIN: target}
    plans = {INSIDE: home, OUTSIDE: None, WITHIN: there}
    for name in dict.fromkeys(systems):
        found = fixed if name == "constant" else every(name)
        for sample, predictions in found.items():
            row = score(
                where[sample], name, predictions, fixed[sample], plans[sample], sample=sample
            )
            if sample == OUTSIDE:
                row |= _shift(source, found[INSIDE], home, target, predictions, seed)
                if WITHIN in found:
                    own = np.repeat(found[WITHIN], count, axis=0)
                    cuts = [plan for plan in there for _ in range(count)]
                    row |= versus(target, predictions, own, cuts)
            rows.append(row)
    return rows, told


def _elsewhere(fold: Fold, every: int, first: int, bench: Bench) -> Fold:
    """A fold of the training study that tests on the other's scans, by the very same head."""
    other = np.arange(first, every)
    shared = bench.transductive or bench.pool is not None  # else its encoder has not seen its test
    return replace(fold, test=other if shared else np.concatenate([fold.test, other]))


def _shift(
    source: Study, inside: Array, home: Plans, target: Study, outside: Array, seed: int
) -> dict[str, Any]:
    """The difference of two figures on different subjects, and its interval."""
    own = draws(source, [inside], seed, home)[:, 0]
    change = draws(target, [outside], seed + 1)[:, 0] - own
    low, high = interval(change)
    value = figure(target, outside) - figure(source, inside, home)
    return {"shift": value, "shift_low": low, "shift_high": high}


def _pretraining(bench: Bench) -> str:
    if bench.pool is not None or bench.given:
        return bench.pretraining_sentence()
    own = (
        "all scans of the training cohort, which for the figures in distribution includes the test "
        "scans' images"
        if bench.transductive
        else "the training scans of each fold"
    )
    return f"Encoders are pretrained on {own}; never on the other's scans. No labels are read."


def _pair(args: argparse.Namespace, task: str) -> tuple[Study, Study]:
    if (args.test is None) == (not args.test_site):
        raise UsageError("say where to test: --test COHORT, or --test-site NAME of the cohort")
    if args.test is None:
        args.allow_sites = True
        return by_site(command.study(args, task), args.test_site)
    other = command.study(args, task, args.test)
    own = replace(command.study(args, task), name=_place(args.cohort))
    return own, replace(other, name=_place(args.test))


def _place(table: Path) -> str:
    """A table's folder and name: two cohorts are often both called participants.tsv."""
    table = table.resolve()
    return table.name if table.is_dir() else f"{table.parent.name}/{table.name}"


def main() -> None:
    """Parse, train here, test there, write, print."""
    parser = command.parser(__doc__)
    parser.add_argument("--test", type=Path, help="another labelled cohort")
    parser.add_argument("--test-site", action="append", help="of the cohort's column site")
    parser.add_argument("--system", action="append", choices=NAMES)
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    bench = command.bench(args)
    pairs = [_pair(args, task) for task in args.task or ("age", "sex")]
    report = run(pairs, bench, args.system or DEFAULT, args.folds, args.repeats, args.seed)
    report.write(args.out, forest(_panels(report.rows), report.title, panel="panel"))
    report.print(SHOWN)


def _panels(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with a column for the plot's panels: each sample has a baseline of its own."""
    return [{**row, "panel": f"{row['task']}, {row['sample']}"} for row in rows]


if __name__ == "__main__":
    command.run(main)
