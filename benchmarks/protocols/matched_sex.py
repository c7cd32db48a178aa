"""Sex beyond head size: the AUC among women and men of equal brain volume, beside the raw one.

A rigid registration keeps a head's size, so a large part of a sex AUC may be brain volume alone.
Each woman is paired with a man whose brain volume is within a caliper of hers, as many pairs as
there can be and, of those, the closest; within the pairs brain volume should tell nothing.

    python -m benchmarks.protocols.matched_sex COHORT --out DIR

See docs/protocols/matched_sex.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocols import command, plots
from benchmarks.protocols.bench import Bench
from benchmarks.protocols.matching import match, rows_of
from benchmarks.protocols.report import ProtocolReport
from benchmarks.protocols.study import Study, folds
from benchmarks.protocols.systems import SYSTEMS, cross_validate, find
from fmtool.errors import InputError, UsageError

Array = NDArray[np.float64]

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
    caliper = caliper_sd * float(volumes.std(ddof=1))
    pairs = match(volumes, men > 0.5, caliper)
    if len(pairs) < FEWEST:
        raise InputError(
            f"{study.name}: {len(pairs)} pairs of a woman and a man have brain volumes within "
            f"{caliper:.0f} mL; take a wider --caliper than {caliper_sd:g}, or more subjects"
        )
    rows = rows_of("brain volume itself", volumes, men, pairs, seed)
    for name in dict.fromkeys(systems):
        found = cross_validate(find(name), bench, study, plan, seed)
        rows += rows_of(name, per_subject(found), men, pairs, seed)
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
        f"{len(pairs)} pairs of {about['women']} women and {about['men']} men, within "
        f"{caliper:.1f} mL ({caliper_sd:g} standard deviations); men's brains are larger by "
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
    parser.add_argument("--system", action="append", choices=tuple(SYSTEMS))
    parser.add_argument("--caliper", type=float, default=CALIPER_SD, help="in SD of brain volume")
    args = parser.parse_args()
    if args.task not in (None, ["sex"]):
        raise UsageError("this protocol's task is sex; leave --task out")
    bench, study = command.bench(args), command.study(args, "sex")
    report = run(study, bench, args.system or DEFAULT, args.caliper, args.folds, args.seed)
    report.write(args.out, plots.forest(report.rows, report.title, panel="sample"))
    report.print(SHOWN)


if __name__ == "__main__":
    command.run(main)
