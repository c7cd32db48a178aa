"""Sex beyond head size: the AUC among women and men of equal brain volume, beside the raw one.

A rigid registration keeps a head's size, so a large part of a sex AUC may be brain volume alone.
Each woman is paired with a man of her own fold (scores of two models are on two scales) whose brain
volume is within a caliper of hers, as many pairs as there can be and, of those, the closest; within
the pairs brain volume should tell nothing.

    python -m benchmarks.protocols.matched_sex COHORT --out DIR

See docs/protocols/matched_sex.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmarks.protocols import command
from benchmarks.protocols.bench import Bench
from benchmarks.protocols.report import ProtocolReport, forest
from benchmarks.protocols.study import Indices, Study, folds
from benchmarks.protocols.systems import NAMES, cross_validate, find
from fmtool.errors import InputError, UsageError
from training.evidence import evaluate, splits

Array = NDArray[np.float64]
Pairs = NDArray[np.intp]


def match(volumes: Array, men: NDArray[np.bool_], caliper: float, fold: Indices) -> Pairs:
    """(P, 2): the index of a woman and of a man of one fold, whose volumes are within `caliper`.

    Nobody is in two pairs; there are as many pairs as can be, and of all such choices the one
    with the least sum of differences.

    Args:
        volumes: (N,) mL, one per subject.
        men: (N,).
        caliper: mL.
        fold: (N,) which model scores each.
    """
    women, others = np.flatnonzero(~men), np.flatnonzero(men)
    apart = np.abs(volumes[women][:, None] - volumes[others][None])
    # A forbidden pair costs more than all allowed ones together, so few of them comes first.
    allowed = (apart <= caliper) & (fold[women][:, None] == fold[others])
    cost = np.where(allowed, apart, 1.0 + caliper * (1 + min(apart.shape)))
    rows, columns = linear_sum_assignment(cost)
    close = allowed[rows, columns]
    return np.stack((women[rows[close]], others[columns[close]]), axis=1)


def pair_auc(score: Array, pairs: Pairs) -> float:
    """The share of pairs in which the man's score is above the woman's, ties counting half."""
    difference = score[pairs[:, 1]] - score[pairs[:, 0]]
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())


def rows_of(
    name: str, score: Array, men: Array, pairs: Pairs, fold: Indices, seed: int
) -> list[dict[str, Any]]:
    """A row for all subjects, and two for those in pairs.

    "all": the AUC over all women and men of one fold. "matched": the same over those in pairs.
    "within pairs": the chance that a man scores above the woman of his own pair. Intervals resample
    subjects, or pairs.

    Args:
        score: (N,), one per subject.
        men: (N,), 1 for a man.
        pairs: by `match`.
        fold: (N,) which model scores each.
    """
    everybody = [str(i) for i in range(len(men))]
    of_pair = [str(p) for p in range(len(pairs))]
    flat = pairs.T.ravel()  # women, then men
    matched, truth, of_fold = score[flat], men[flat], fold[flat]

    def whole(i: NDArray[np.intp]) -> float:
        return evaluate.auc(men[i], score[i], fold[i])

    def among(i: NDArray[np.intp]) -> float:
        return evaluate.auc(truth[i], matched[i], of_fold[i])

    def within(i: NDArray[np.intp]) -> float:
        return pair_auc(score, pairs[i])

    samples = (
        ("all", whole(np.arange(len(men))), evaluate.interval(whole, everybody, seed)),
        ("matched", among(np.arange(len(flat))), evaluate.interval(among, of_pair * 2, seed)),
        ("within pairs", within(np.arange(len(pairs))), evaluate.interval(within, of_pair, seed)),
    )
    return [
        {
            "system": name,
            "task": "sex",
            "sample": sample,
            "metric": "AUC",
            "unit": "",
            "value": value,
            "low": low,
            "high": high,
            "baseline": 0.5,
            "difference": value - 0.5,
            "difference_low": low - 0.5,
            "difference_high": high - 0.5,
            "beats_baseline": low > 0.5,
            "pairs": None if sample == "all" else len(pairs),
            "subjects": len(men) if sample == "all" else 2 * len(pairs),
        }
        for sample, value, (low, high) in samples
    ]


QUESTION = "is it sex, or head size?"
CALIPER_SD = 0.2
FEWEST = 2
FEW = 20
DEFAULT = ("LP random", "LP SimCLR", "FT SimCLR", "supervised ResNet-18")
SHOWN = ("system", "sample", "metric", "value", "baseline", "beats_baseline", "pairs", "subjects")


def run(
    study: Study,
    bench: Bench,
    systems: Sequence[str] = DEFAULT,
    caliper_sd: float = CALIPER_SD,
    count: int = 5,
    seed: int = 42,
) -> ProtocolReport:
    """Out-of-fold predictions on everybody, then the AUC before and after matching.

    Raises:
        UsageError: for a task that is not sex.
        InputError: if fewer than two pairs are within the caliper.
    """
    if study.task.name != "sex":
        raise UsageError(f"women are matched to men: the task is sex, not {study.task.name}")
    plan = folds(study, count, seed)
    names, where = np.unique(study.subjects, return_inverse=True)

    def per_subject(values: Array) -> Array:
        return np.bincount(where, values) / np.bincount(where)

    men, volumes = per_subject(study.labels), per_subject(study.volumes_ml)
    of_scan = splits.fold_of([(one.fitted, one.test) for one in plan], len(where))
    fold = of_scan[np.unique(where, return_index=True)[1]]
    caliper = caliper_sd * float(volumes.std(ddof=1))
    pairs = match(volumes, men > 0.5, caliper, fold)
    if len(pairs) < FEWEST:
        raise InputError(
            f"{study.name}: {len(pairs)} pairs of a woman and a man of one fold have brain volumes "
            f"within {caliper:.0f} mL; take a wider --caliper than {caliper_sd:g}, or more subjects"
        )
    rows = rows_of("brain volume itself", volumes, men, pairs, fold, seed)
    for name in dict.fromkeys(systems):
        found = cross_validate(find(name), bench, study, plan, seed)
        rows += rows_of(name, per_subject(found), men, pairs, fold, seed)
        command.tell(f"{name} is done")
    apart = volumes[pairs[:, 1]] - volumes[pairs[:, 0]]
    gap = volumes[men > 0.5].mean() - volumes[men <= 0.5].mean()
    about = command.facts(
        bench,
        study,
        seed,
        folds=count,
        women=int((men <= 0.5).sum()),
        men=int((men > 0.5).sum()),
        caliper_ml=caliper,
        pairs=[[str(names[w]), str(names[m])] for w, m in pairs],
        gap_before_ml=float(gap),
        gap_after_ml=float(apart.mean()),
    )
    remarks = [
        f"{len(pairs)} pairs, each of one fold, of {about['women']} women and {about['men']} men, "
        f"within {caliper:.1f} mL ({caliper_sd:g} standard deviations); men's brains are larger by "
        f"{gap:.1f} mL before and {apart.mean():.1f} mL after matching.",
        "Intervals are 95 % bootstrap percentiles over subjects, or over pairs.",
    ]
    if len(pairs) < FEW:
        remarks.append(
            f"{len(pairs)} pairs are few: an interval this wide settles nothing, and where all "
            "pairs agree it has no width although the truth is not certain."
        )
    return ProtocolReport("matched_sex", QUESTION, about, rows, [about["pretraining"], *remarks])


def main() -> None:
    """Parse, predict, match, write, print."""
    parser = command.parser(__doc__)
    parser.add_argument("--system", action="append", choices=NAMES)
    parser.add_argument("--caliper", type=float, default=CALIPER_SD, help="in SD of brain volume")
    args = parser.parse_args()
    if args.task not in (None, ["sex"]):
        raise UsageError("this protocol's task is sex; leave --task out")
    bench, study = command.bench(args), command.study(args, "sex")
    report = run(study, bench, args.system or DEFAULT, args.caliper, args.folds, args.seed)
    report.write(args.out, forest(report.rows, report.title, panel="sample"))
    report.print(SHOWN)


if __name__ == "__main__":
    command.run(main)
