"""Does more pretraining data help, and how fast: a probe per size, and the exponent of a law.

SimCLR is pretrained on nested subsets of the subjects, the first eighth of a random order, the
first quarter, and so on, each with as many optimizer steps, so that the amount of data is all that
changes. A linear probe of each encoder is cross-validated in the same folds, and its error (MAE, or
1 - AUC) is fitted by a law, n the scans pretrained on:

    error(n) = a * n^-b         log error = log a - b log n, by least squares
    error(n) = a * n^-b + c     with --floor; c between 0 and the least error, by a search along c

The second has as many parameters as three points have numbers: it needs four or more.
Source: Kaplan et al., "Scaling Laws for Neural Language Models" (arXiv 2001.08361), for the form.

    python -m benchmarks.protocols.scaling COHORT --task age --pretrain POOL --out DIR

See docs/protocols/scaling.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from benchmarks.protocols import command, pretrained
from benchmarks.protocols.bench import Bench
from benchmarks.protocols.report import ProtocolReport, curves
from benchmarks.protocols.scores import draws, figure, score
from benchmarks.protocols.study import Study, folds
from benchmarks.protocols.systems import cross_validate, find, probed
from fmtool.errors import InputError, UsageError
from training import cohort as cohorts
from training.cohort.prepared import PreparedScan
from training.fit.order import steps_per_epoch

_LEVEL = 95.0
_COARSE = 200

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PowerLaw:
    """error(n) = a * n^-b + c; c is 0 where it was not fitted."""

    a: float
    b: float
    c: float = 0.0

    def __call__(self, n: Array) -> Array:
        """The error at n."""
        found: Array = self.a * np.asarray(n, dtype=np.float64) ** -self.b + self.c
        return found


def fit_law(n: Array, error: Array, floor: bool = False) -> PowerLaw:
    """The law through points, by least squares of log error.

    Args:
        n: (P,), above zero.
        error: (P,), above zero.
        floor: fit c, too.

    Raises:
        InputError: for fewer than two sizes (with a floor: four), or an error that is not above 0.
    """
    n, error = np.asarray(n, dtype=np.float64), np.asarray(error, dtype=np.float64)
    needed = 4 if floor else 2
    if len(np.unique(n)) < needed:
        raise InputError(f"{len(np.unique(n))} sizes are too few for a law; {needed} are needed")
    if not (np.isfinite(error) & (error > 0.0)).all():
        raise InputError("an error of zero or below has no logarithm: no law can be fitted")
    if not floor:
        return _line(n, error)

    def misfit(c: float) -> float:
        law = _line(n, error - c)
        return float(np.square(np.log(law(n) + c) - np.log(error)).sum())

    top = float(error.min()) * (1.0 - 1e-6)
    grid = np.linspace(0.0, top, _COARSE)
    best = int(np.argmin([misfit(c) for c in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, _COARSE - 1)]
    c = float(minimize_scalar(misfit, bounds=(low, high), method="bounded").x)
    law = _line(n, error - c)
    return PowerLaw(law.a, law.b, c)


def exponent_interval(n: Array, draws: Array, floor: bool = False) -> tuple[float, float, int]:
    """The 95 % percentile interval of b, and of how many draws.

    Args:
        n: (P,).
        draws: (D, P): the errors of each draw; draws with an error of 0 or below are left out.
        floor: fit c, too.

    Raises:
        InputError: if no draw is left.
    """
    usable = draws[(np.isfinite(draws) & (draws > 0.0)).all(axis=1)]
    if not len(usable):
        raise InputError("no draw of the bootstrap has errors above zero: no law can be fitted")
    exponents = [fit_law(n, draw, floor).b for draw in usable]
    tail = (100.0 - _LEVEL) / 2
    low, high = np.percentile(exponents, [tail, 100.0 - tail])
    return float(low), float(high), len(usable)


def _line(n: Array, error: Array) -> PowerLaw:
    slope, start = np.polyfit(np.log(n), np.log(error), 1)
    return PowerLaw(float(np.exp(start)), float(-slope))


QUESTION = "does more pretraining data help?"
FEWEST_SEEDS = 3
"""For an interval of the exponent: one seed's noise is a slope, too, whatever its subjects say."""
FRACTIONS = (0.125, 0.25, 0.5, 1.0)
SYSTEM, START = "LP SimCLR", "LP random"
SHOWN = ("system", "task", "pretrained", "metric", "value", "baseline", "difference", "law")
REMARKS = [
    "value: mean over seeds of the out-of-fold figure, each subject counting once, with its 95 % "
    "interval; law: what the fitted law says; b's interval resamples subjects and seeds together.",
    "All sizes are pretrained for as many steps: the curve is of data, not of training time.",
]


def nested(
    subjects: Sequence[str], fractions: Sequence[float], seed: int
) -> dict[float, list[int]]:
    """Indices of scans per fraction of the subjects; each set holds the smaller ones."""
    names = np.array(subjects)
    order = np.random.default_rng(seed).permutation(np.unique(names))
    return {
        f: np.flatnonzero(np.isin(names, order[: round(f * len(order))])).tolist()
        for f in sorted(fractions)
    }


def run(
    studies: Sequence[Study],
    bench: Bench,
    fractions: Sequence[float] = FRACTIONS,
    count: int = 5,
    seeds: int = 1,
    seed: int = 42,
    floor: bool = False,
    pool_subjects: Sequence[str] | None = None,
) -> ProtocolReport:
    """A row per task and size, a random encoder's first; the laws are in the report's facts.

    Args:
        studies: one per task, of the same cohort.
        bench: pretrains on its pool, or on the study's own scans.
        fractions: of the subjects.
        seeds: other subsets, folds and first weights.
        floor: fit c, too; needs four sizes or more.
        pool_subjects: whom each scan of the bench's pool shows; each scan someone else if absent.

    Raises:
        UsageError: for an encoder from outside, or a pretraining per fold.
        InputError: if a size has too few scans for a batch and fewer sizes are left than the law
            needs.
    """
    if "simclr" in bench.given or (bench.pool is None and not bench.transductive):
        raise UsageError(
            "this protocol pretrains once per size: without --simclr, and on another cohort "
            "(--pretrain) where the test scans' images must stay unseen"
        )
    pool = list(studies[0].entries if bench.pool is None else bench.pool)
    if bench.pool is None:
        whom: Sequence[str] = studies[0].subjects
    else:
        whom = [str(i) for i in range(len(pool))] if pool_subjects is None else pool_subjects
    plans = [nested(whom, fractions, seed + r) for r in range(seeds)]
    fewest = bench.size.pretrain_batch
    kept = [f for f in sorted(fractions) if min(len(plan[f]) for plan in plans) >= fewest]
    if len(kept) < (4 if floor else 2):
        raise InputError(
            f"{len(pool)} scans make {len(kept)} sizes of at least a batch of {fewest}; take more "
            "scans, larger fractions or no --floor"
        )
    small = [f for f in sorted(fractions) if f not in kept]
    left_out = [f"{f:g} of the subjects is left out: fewer scans than a batch." for f in small]
    embedded = _embedded(studies, bench, pool, plans, kept, seed)
    rows, laws = [], {}
    for study in studies:
        found, law = _curve(study, bench, embedded, plans, kept, count, seed, floor)
        rows += found
        laws[study.task.name] = law
    about = command.facts(bench, studies[0], seed, folds=count, seeds=seeds, laws=laws)
    told = [_sentence(name, law) for name, law in laws.items()]
    remarks = [about["pretraining"], *REMARKS, *told, *left_out]
    return ProtocolReport("scaling", QUESTION, about, rows, remarks)


def _embedded(
    studies: Sequence[Study],
    bench: Bench,
    pool: Sequence[PreparedScan],
    plans: Sequence[dict[float, list[int]]],
    kept: Sequence[float],
    seed: int,
) -> dict[tuple[float, int], Array]:
    """Embeddings of the studies' scans, per fraction (0: a random encoder) and repeat."""
    whole = bench.size.pretrain_epochs * steps_per_epoch(len(pool), bench.size.pretrain_batch)
    found = {}
    for r, plan in enumerate(plans):
        fresh = pretrained.fresh("resnet18", bench.size, seed + r).eval()
        found[0.0, r] = bench.embed(fresh, studies[0])
        for fraction in kept:
            entries = [pool[i] for i in plan[fraction]]
            epochs = round(whole / steps_per_epoch(len(entries), bench.size.pretrain_batch))
            settings = replace(bench.size.pretraining(seed + r), epochs=epochs)
            recipe = pretrained.simclr(bench.size, seed + r)
            encoder = pretrained.encoder(recipe, entries, settings, bench.cache)
            found[fraction, r] = bench.embed(encoder, studies[0])
            command.tell(f"pretrained on {len(entries)} scans, {epochs} epochs")
    return found


def _curve(
    study: Study,
    bench: Bench,
    embedded: dict[tuple[float, int], Array],
    plans: Sequence[dict[float, list[int]]],
    kept: Sequence[float],
    count: int,
    seed: int,
    floor: bool,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    repeats = range(len(plans))
    cuts = [folds(study, count, seed + r) for r in repeats]
    fixed = find("constant")
    constant = np.stack([cross_validate(fixed, bench, study, cuts[r], seed) for r in repeats])
    predicted = {
        f: np.stack([probed(embedded[f, r], study, cuts[r]) for r in repeats]) for f in (0.0, *kept)
    }
    sizes = np.array([float(np.mean([len(plan[f]) for plan in plans])) for f in kept])
    curve = [predicted[f] for f in kept]
    errors = _error(study, np.array([figure(study, one, cuts) for one in curve]))
    law = fit_law(sizes, errors, floor)
    spread: dict[str, Any] = {"b_low": None, "b_high": None, "draws": 0}
    if len(plans) >= FEWEST_SEEDS:
        drawn = _error(study, draws(study, curve, seed, cuts))
        spread = dict(zip(spread, exponent_interval(sizes, drawn, floor), strict=True))
    rows = [score(study, START, predicted[0.0], constant, cuts, fraction=0.0, pretrained=0)]
    for fraction, n, one, says in zip(kept, sizes, curve, law(sizes), strict=True):
        more = {"fraction": fraction, "pretrained": float(n)}
        says = float(_error(study, says))
        rows.append(score(study, SYSTEM, one, constant, cuts, **more, law=says))
    facts = {**asdict(law), **spread, "sizes": sizes.tolist()}
    facts["learnt"] = any(row["beats_baseline"] for row in rows[1:])
    return rows, facts


def _error(study: Study, value: Array) -> Array:
    """MAE as it is; an AUC's distance from 1, and back."""
    return value if study.task.kind == "regression" else 1.0 - value


def _sentence(name: str, law: dict[str, Any]) -> str:
    what = "" if law["c"] == 0.0 else f" + {law['c']:.3g}"
    told = f"{name}: error = {law['a']:.3g} * n^-{law['b']:.3f}{what}; b is {law['b']:.3f}"
    if law["b_low"] is not None:
        told += f" [{law['b_low']:.3f}, {law['b_high']:.3f}]"
    if not law["learnt"]:
        return f"{told}. No size beats the baseline: this is a law of noise."
    if law["b_low"] is None:
        return (
            f"{told}, of which so few seeds give no interval: what another subset or pretraining "
            f"would change is in none of them (--seeds {FEWEST_SEEDS} or more)."
        )
    flat = law["b_low"] <= 0.0 <= law["b_high"]
    return f"{told}, which does not exclude that more data changes nothing." if flat else f"{told}."


def plot(report: ProtocolReport) -> Figure:
    """The sizes' figures and the law's curve."""
    rows = [row for row in report.rows if row["system"] == SYSTEM]
    drawn = curves(rows, report.title, "pretrained", "scans pretrained on", log=True)
    for axis, (name, law) in zip(drawn.axes, report.facts["laws"].items(), strict=True):
        auc = next(row["metric"] == "AUC" for row in rows if row["task"] == name)
        n = np.geomspace(min(law["sizes"]), max(law["sizes"]), 50)
        error = PowerLaw(law["a"], law["b"], law["c"])(n)
        axis.plot(n, 1.0 - error if auc else error, ":", color="#444444")
    return drawn


def main() -> None:
    """Parse, pretrain, probe, fit, write, print."""
    parser = command.parser(__doc__)
    parser.add_argument("--fraction", action="append", type=float, help="1/8, 1/4, 1/2, 1 if not")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--floor", action="store_true", help="fit what data cannot lower, too")
    parser.add_argument(
        "--batch", type=int, help="scans per pretraining step; the size's if absent"
    )
    args = parser.parse_args()
    bench = command.bench(args)
    if args.batch is not None:
        bench.size = replace(bench.size, pretrain_batch=args.batch)
    studies = [command.study(args, task) for task in args.task or ("age",)]
    whom = args.pretrain and [row.subject for row in cohorts.read(args.pretrain, None).rows]
    fractions = args.fraction or FRACTIONS
    report = run(
        studies, bench, fractions, args.folds, args.seeds, args.seed, args.floor, whom or None
    )
    report.write(args.out, plot(report))
    report.print(SHOWN)


if __name__ == "__main__":
    command.run(main)
