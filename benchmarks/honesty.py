"""Does a card say what holds on new people? Made cohorts, whose truth is known, by the thousand.

Each line gives a figure as a card had it before ("then") and as it has it, beside the truth on new
people. Embeddings are normal, 32 features; a regression's labels are one feature and noise, a
class shifts one feature; where subjects have several scans, these share what they show. Heads are
ridges of one strength, five folds, five repeats (for `noise`, `training.probe` itself).

    python -m benchmarks.honesty [--repeats 500] [--only intervals] [--json FILE]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from benchmarks.shared import script
from fmtool.bundle.exposure import Exposure, scan_digest, subject_digest
from fmtool.task import AGE, SEX, Task
from runtime.answer import answer
from runtime.trust import classes
from training import evidence, probe
from training.cohort import Cohort, Row
from training.evidence import evaluate, splits, trust

Array = NDArray[np.float64]
Figures = dict[str, float]

FEATURES = 32
SIZES = (12, 28, 60, 200)
_FOLDS, _REPEATS = 5, 5
_BEFORE = 200  # draws of the bootstrap that intervals were made by
_NEW = 2000


@dataclass(frozen=True)
class Simulated:
    """People, their embeddings, (N, F), and the law that they follow."""

    x: Array
    cohort: Cohort[Task]
    signal: float
    blur: float = 0.0  # the deviation of one person's scans from each other


def cohort_of(y: Array, task: Task, whom: NDArray[Any]) -> Cohort[Task]:
    """Rows of these labels and people, without files."""
    pairs = enumerate(zip(y, whom, strict=True))
    rows = [Row(f"s{s}", Path(f"{i}.nii"), None, float(v), None, i) for i, (v, s) in pairs]
    return Cohort(Path("made"), task, rows)


def draw(rng: np.random.Generator, n: int, task: Task, scans: int, signal: float) -> Simulated:
    """`n` people of up to `2 scans - 1` scans each."""
    own = rng.normal(size=(n, FEATURES))
    if task.kind == "regression":
        y = 50.0 + 10.0 * (signal * own[:, 0] + rng.normal(size=n))
    else:
        y = (np.arange(n) % 2).astype(float)
        own[:, 0] += signal * y
    blur = 0.5 if scans > 1 else 0.0
    whom = np.repeat(np.arange(n), rng.integers(1, 2 * scans, size=n))
    x = own[whom] + blur * rng.normal(size=(len(whom), FEATURES))
    return Simulated(x, cohort_of(y[whom], task, whom), signal, blur)


def ridge(x: Array, cohort: Cohort[Task]) -> tuple[Array, float]:
    """Weight and bias; of a binary task, of labels -1 and 1."""
    y = cohort.labels if cohort.task.kind == "regression" else 2.0 * cohort.labels - 1.0
    centre, level = x.mean(axis=0), float(y.mean())
    z = x - centre
    weight = np.linalg.solve(z.T @ z + FEATURES * np.eye(x.shape[1]), z.T @ (y - level))
    return weight, level - float(centre @ weight)


def truth(weight: Array, bias: float, made: Simulated) -> float:
    """The MAE or AUC of a head on new people of the same law, in closed form."""
    seen = (1.0 + made.blur**2) * float(weight @ weight)
    if made.cohort.task.kind == "binary":
        return float(ndtr(made.signal * weight[0] / np.sqrt(2.0 * seen)))
    gap = weight.copy()
    gap[0] -= 10.0 * made.signal
    off = bias - 50.0
    spread = float(np.sqrt(gap @ gap + made.blur**2 * float(weight @ weight) + 100.0))
    inside = np.exp(-(off**2) / (2 * spread**2)) * np.sqrt(2 / np.pi)
    return float(spread * inside + off * (1.0 - 2.0 * ndtr(-off / spread)))


@dataclass(frozen=True)
class Judged:
    """A cross-validation: out-of-fold predictions and constants, (repeats, N), and the truth."""

    predictions: Array
    constants: Array
    fold: NDArray[np.intp]
    shipped: float
    of_folds: float


def plan_of(made: Simulated, repeat: int) -> list[splits.Split]:
    """Folds by subject, the same of all trials of a size: their people are drawn alike, and to draw
    folds takes longer than to fit in them."""
    whom = np.array([int(name[1:]) for name in made.cohort.subjects])
    people = _plan_of_people(made.cohort.task.kind, int(whom.max()) + 1, repeat)
    return [
        (np.flatnonzero(np.isin(whom, train)), np.flatnonzero(np.isin(whom, test)))
        for train, test in people
    ]


@cache
def _plan_of_people(kind: str, n: int, repeat: int) -> list[splits.Split]:
    task = AGE if kind == "regression" else SEX
    return splits.by_subject(
        cohort_of(np.arange(n, dtype=np.float64) % 2.0, task, np.arange(n)), _FOLDS, repeat
    )


def judge(made: Simulated, repeats: int = _REPEATS) -> Judged:
    """Cross-validate a ridge."""
    x, cohort, truths = made.x, made.cohort, []
    predictions, constants = np.full((2, repeats, len(x)), 0.5)
    fold = np.empty((repeats, len(x)), dtype=np.intp)
    for r in range(repeats):
        plan = plan_of(made, r)
        fold[r] = splits.fold_of(plan, len(x))
        for train, test in plan:
            weight, bias = ridge(x[train], cohort.take(train))
            predictions[r, test] = x[test] @ weight + bias
            if cohort.task.kind == "regression":  # an AUC is compared with one half
                constants[r, test] = evidence.constant(cohort.take(train))
            truths.append(truth(weight, bias, made))
    shipped = truth(*ridge(x, cohort), made)
    return Judged(predictions, constants, fold, shipped, float(np.mean(truths)))


def bootstrap(cohort: Cohort[Task], found: Judged, seed: int) -> tuple[float, float]:
    """The interval as it was made before: percentiles over subjects, scans weighed alike."""
    y = cohort.labels

    def figure(rows: evaluate.Indices) -> float:
        if cohort.task.kind == "regression":
            return float(np.abs(found.predictions[:, rows] - y[rows]).mean())
        pairs = zip(found.predictions, found.fold, strict=True)
        return float(np.mean([evaluate.auc(y[rows], p[rows], f[rows]) for p, f in pairs]))

    kept, evaluate.SAMPLES = evaluate.SAMPLES, _BEFORE
    try:
        return evaluate.interval(figure, cohort.subjects, seed)
    finally:
        evaluate.SAMPLES = kept


def intervals(repeats: int) -> Iterator[tuple[str, Figures]]:
    """How often 95 % intervals hold the error of heads like it, and of the very head."""
    for task, signals in ((AGE, (0.0, 1.0)), (SEX, (0.0, 1.5, 3.0))):
        for scans in (1, 2):
            for n in SIZES:
                for signal in signals:
                    rows = []
                    for seed in range(repeats):
                        made = draw(np.random.default_rng([seed, n]), n, task, scans, signal)
                        found = judge(made)
                        told = evidence.against_constant(
                            made.cohort, found.predictions, found.constants, found.fold
                        )
                        low, high = told["interval"]
                        row = {"holds": low <= found.of_folds <= high}
                        row |= {"holds the very head's": low <= found.shipped <= high}
                        if seed < repeats // 20 or repeats < 50:
                            low, high = bootstrap(made.cohort, found, seed)
                            row["then"] = low <= found.of_folds <= high
                        rows.append(row | {"beats": told["beats_baseline"]})
                    several = "one scan" if scans == 1 else "several scans"
                    yield f"{task.name}, signal {signal:g}, {several}, n {n}", means(rows)


def limits(repeats: int) -> Iterator[tuple[str, Figures]]:
    """What 90 % intervals and sets hold of new people, and what is told of them beforehand."""
    for task, signal in ((AGE, 2.0), (SEX, 1.5), (SEX, 4.0)):
        for n in SIZES:
            rows = []
            for seed in range(max(repeats // 5, 2)):
                rng = np.random.default_rng([seed, n, 1])
                made = draw(rng, n, task, 1, signal)
                plan = splits.by_subject(made.cohort, _FOLDS, seed)
                heads = [ridge(made.x[train], made.cohort.take(train)) for train, _ in plan]
                out = np.empty(len(made.x))
                for (_, test), (weight, bias) in zip(plan, heads, strict=True):
                    out[test] = made.x[test] @ weight + bias
                known, told = trust.cross(made.x, made.cohort, plan, heads, out[None], ridge, seed)
                weight, bias = ridge(made.x, made.cohort)
                new = draw(rng, 200, task, 1, signal)
                rows.append(_answered(task, told, known, new, new.x @ weight + bias))
            yield f"{task.name}, signal {signal:g}, n {n}", means(rows)


def _answered(task: Task, told: dict[str, Any], known: Any, new: Simulated, raw: Array) -> Figures:
    y = new.cohort.labels
    said = [answer(task, float(v), {}, e, known) for v, e in zip(raw, new.x, strict=True)]
    if task.kind == "regression":
        spans = np.array([(s.interval.low, s.interval.high) for s in said if s.interval])
        low, high = spans.T
        found = {"holds": np.mean((low <= y) & (y <= high)), "width": np.median(high - low)}
        found |= {"width told": told["width"]}
        fixed = np.array([s.corrected for s in said if s.corrected is not None])
        if len(fixed):
            then = np.array([known.tendency.corrected(float(v)) for v in raw])
            found |= {
                "corrected MAE told": told["corrected_mae"],
                "corrected MAE": np.abs(fixed - y).mean(),
                "slope of corrected": np.polyfit(y, fixed, 1)[0],
                "slope, then": np.polyfit(y, then, 1)[0],
                "corrected outside, then": np.mean((then < low) | (then > high)),
            }
        return {name: float(v) for name, v in found.items()}
    names = task.classes or ("", "")
    sets = [s.members or [] for s in said]
    p = [classes.p_values(known.folds, known.labels, e, known.by_class) for e in new.x]
    return {
        "holds": float(np.mean([names[int(v)] in s for s, v in zip(sets, y, strict=True)])),
        "one class told": told["one_class"],
        "one class": float(np.mean([len(s) == 1 for s in sets])),
        "empty, then": float(np.mean([max(one) <= 0.1 + 1e-9 for one in p])),
        "warned": float(np.mean([any("fits neither" in w for w in s.warnings) for s in said])),
    }


def noise(repeats: int) -> Iterator[tuple[str, Figures]]:
    """How often a head of nothing is said to beat its baseline: `training.probe` itself."""
    for task in (AGE, SEX):
        for n in SIZES[:3]:
            rows = []
            for seed in range(max(repeats // 10, 2)):
                rng = np.random.default_rng([seed, n, 2])
                made = draw(rng, n, task, 1, 0.0)
                folds = 2 if n == SIZES[0] else _FOLDS
                told = probe.fit(made.x, made.cohort, seed, folds, 1).head.evidence
                rows.append({"beats": told["beats_baseline"], "value": told["value"]})
            yield f"{task.name}, n {n}, probe", means(rows)
            rows = []
            for seed in range(repeats):
                rng = np.random.default_rng([seed, n, 3])
                made = draw(rng, n, task, 1, 0.0)
                found = rng.normal(size=n) * 2.0 + (50.0 if task is AGE else 0.0)
                fixed = np.full((1, n), 50.0)
                told = evidence.against_constant(made.cohort, found[None], fixed)
                rows.append({"beats": told["beats_baseline"], "value": told["value"]})
            yield f"{task.name}, n {n}, test part", means(rows)


def people(repeats: int) -> Iterator[tuple[str, Figures]]:
    """Two scans each of sixty people, as if each scan were a person, and as they are."""
    rows = []
    for seed in range(max(repeats // 50, 2)):
        rng = np.random.default_rng([seed, 4])
        y, own = rng.uniform(20.0, 80.0, 60), rng.normal(size=(60, 200))
        x = np.repeat(own, 2, axis=0) + 0.05 * rng.normal(size=(120, 200))
        whom = np.repeat(np.arange(60), 2)
        parted = cohort_of(np.repeat(y, 2), AGE, np.arange(120))
        joined = cohort_of(np.repeat(y, 2), AGE, whom)
        one, two = (probe.fit(x, c, seed, 5, 1).head for c in (parted, joined))
        fresh = np.abs(two(rng.normal(size=(_NEW, 200))) - rng.uniform(20.0, 80.0, _NEW)).mean()
        rows.append({"then": one.evidence["value"], "told": two.evidence["value"], "new": fresh})
    yield "MAE in years", means(rows)


def leak(repeats: int) -> Iterator[tuple[str, Figures]]:
    """An encoder fitted to the labels of 28 of 40 scans of noise, probed on all: now refused."""
    rows = []
    for seed in range(max(repeats // 50, 2)):
        rng = np.random.default_rng([seed, 5])
        volumes, y = rng.normal(size=(40, 500)), rng.uniform(20.0, 80.0, 40)
        basis = volumes[:28]
        learnt = np.linalg.lstsq(basis, y[:28] - y[:28].mean(), rcond=None)[0]

        def embed(v: Array, learnt: Array = learnt) -> Array:
            return np.c_[v @ learnt, v[:, :15]]

        cohort = cohort_of(y, AGE, np.arange(40))
        head = probe.fit(embed(volumes), cohort, seed, 5, 1).head
        fresh = head(embed(rng.normal(size=(_NEW, 500))))
        names = [subject_digest(row.subject) for row in cohort.rows]
        scans = [scan_digest(str(row.image)) for row in cohort.rows]
        some = frozenset(scans[:28]), frozenset(names[:28])
        seen = Exposure(*some, *some).overlap({n: [s] for n, s in zip(names, scans, strict=True)})
        rows.append(
            {
                "then": head.evidence["value"],
                "new": float(np.abs(fresh - rng.uniform(20.0, 80.0, _NEW)).mean()),
                "seen by label, of 40": float(seen.labels),
            }
        )
    yield "MAE in years", means(rows)


def baselines(repeats: int) -> Iterator[tuple[str, Figures]]:
    """Skewed labels, and a head that is the mean: how often it beats either constant."""
    rows, pooled = [], []
    for seed in range(repeats):
        rng = np.random.default_rng([seed, 6])
        cohort = cohort_of(np.minimum(rng.exponential(5.0, 60), 42.0), AGE, np.arange(60))
        y, head = cohort.labels, np.full((1, 60), cohort.labels.mean())
        told = evidence.against_constant(cohort, head * 0.95, np.full((1, 60), np.median(y)))
        then = evidence.against_constant(cohort, head * 0.95, head)
        rows.append({"beats, then": then["beats_baseline"], "beats": told["beats_baseline"]})
        made = draw(rng, 30, SEX, 1, 0.0)
        found = judge(made, repeats=1)
        within = evidence.figure(made.cohort, found.predictions, found.fold)
        every = evaluate.auc(made.cohort.labels, found.predictions[0])
        pooled.append({"AUC, then": every, "AUC": within})
    yield "the mean against the median of NIHSS-like labels", means(rows)
    yield "AUC of noise, pairs of all folds and of one", means(pooled)


def shares(repeats: int) -> Iterator[tuple[str, Figures]]:
    """Fitted one to one and used at one in twenty: how many probabilities near 0.8 are right."""
    rows = []
    for seed in range(max(repeats // 50, 2)):
        rng = np.random.default_rng([seed, 7])
        made = draw(rng, 200, SEX, 1, 2.0)
        head = probe.fit(made.x, made.cohort, seed, 5, 1).head
        known = head.trust
        assert known is not None
        assert known.probability is not None
        y = (rng.random(20 * _NEW) < 0.05).astype(float)
        x = rng.normal(size=(len(y), FEATURES))
        x[:, 0] += 2.0 * y
        p = np.array([known.probability(float(z)) for z in head(x)])
        right = classes.at_prevalence(p, known.share or 0.5, 0.05)  # type: ignore[arg-type]
        near = [np.abs(q - 0.8) < 0.05 for q in (p, right)]
        rows.append({"then": y[near[0]].mean(), "with --prevalence": y[near[1]].mean()})
    yield "the share that is right of those told 0.75 to 0.85", means(rows)


def elsewhere(repeats: int) -> Iterator[tuple[str, Figures]]:
    """The shift of MAE between two samples of one population, by all and by the folds' heads."""
    rows = []
    for seed in range(repeats):
        rng = np.random.default_rng([seed, 8])
        made, other = (draw(rng, 60, AGE, 1, 1.0) for _ in range(2))
        plan = splits.by_subject(made.cohort, _FOLDS, seed)
        y, inside, outside = other.cohort.labels, [], []
        for train, test in plan:
            weight, bias = ridge(made.x[train], made.cohort.take(train))
            inside.append(np.abs(made.x[test] @ weight + bias - made.cohort.labels[test]))
            outside.append(np.abs(other.x @ weight + bias - y).mean())
        weight, bias = ridge(made.x, made.cohort)
        own = float(np.concatenate(inside).mean())
        rows.append(
            {
                "then": float(np.abs(other.x @ weight + bias - y).mean()) - own,
                "shift": float(np.mean(outside)) - own,
            }
        )
    yield "years, identical populations", means(rows)


def means(rows: list[dict[str, Any]]) -> Figures:
    """Each figure's mean over the trials that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {n: float(np.mean([row[n] for row in rows if row.get(n) is not None])) for n in names}


PARTS: dict[str, Callable[[int], Iterator[tuple[str, Figures]]]] = {
    "leak": leak,
    "people": people,
    "limits": limits,
    "shares": shares,
    "intervals": intervals,
    "noise": noise,
    "baselines": baselines,
    "elsewhere": elsewhere,
}


def main() -> None:
    """Run every part, or one; print a line for each, and write JSON."""
    args = script.options(__doc__, repeats=500, only=str, json=Path)
    found: dict[str, Any] = {}
    for part in [args.only] if args.only else PARTS:
        for name, figures in PARTS[part](args.repeats):
            found[f"{part}: {name}"] = figures
            words = ", ".join(f"{k} {v:.3g}" for k, v in figures.items())
            print(f"{part}: {name}: {words}", flush=True)
            script.keep(found, args.json)


if __name__ == "__main__":
    main()
