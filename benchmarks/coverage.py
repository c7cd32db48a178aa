"""Do 90 % intervals and prediction sets hold the truth in 90 % of subjects that were held out?

Each trial holds subjects out, fits a probe on the others as `fmtool train probe` does (one
cross-validation of five folds), and answers for those held out as `fmtool predict` does from their
embeddings. Three kinds of data:

* a real cohort, embedded by a bundle, a quarter held out each time;
* a law: y = x1 + noise whose size follows x2, 64 features, 500 scans to fit on and 1000 new ones,
  drawn anew each time; and the same with 250 subjects of one to four scans;
* synthetic heads (`training.synth`), embedded by random weights, 600 of 800 to fit on.

    python -m benchmarks.coverage [COHORT] [--splits 100] [--draws 20] [--heads 800] [--json FILE]
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import learnability
from benchmarks.shared import script
from fmtool import bundle as bundles
from fmtool.task import AGE, SEX, Task
from runtime.answer import answer
from runtime.engines.choose import Wish
from runtime.predict import Predictor
from training import cohort as cohorts
from training import encoders, probe
from training.cohort import Cohort, Row
from training.store.prepare import prepare

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """A cohort, its embeddings, and which of its scans are held out."""

    x: Array
    cohort: Cohort[Task]
    held: NDArray[np.bool_]


def trial(data: Data, seed: int) -> dict[str, float]:
    """One probe, judged on the subjects that it did not see."""
    kept, task = np.flatnonzero(~data.held), data.cohort.task
    head = probe.fit(data.x[kept], data.cohort.take(kept), seed=seed, folds=5, repeats=1).head
    found: list[dict[str, float]] = []
    for i in np.flatnonzero(data.held):
        truth, raw = data.cohort.rows[i].label, head(data.x[i])
        said = answer(task, raw, {}, data.x[i], head.trust)
        one = {"novelty_p <= 0.1": float((said.novelty or 1.0) <= 0.1)}
        if task.kind == "regression":
            assert said.interval is not None
            low, high = said.interval.low, said.interval.high
            one |= {"coverage": float(low <= truth <= high), "width": high - low}
            one |= {"error": abs(said.value - truth)}
        else:
            assert task.classes is not None
            assert said.members is not None
            assert said.probability is not None
            name = task.classes[int(truth)]
            one |= {"coverage": float(name in said.members)}
            one |= {f"coverage of {name}": one["coverage"]}
            one |= {"one class": float(len(said.members) == 1)}
            for kind, p in (("raw", said.value), ("calibrated", said.probability)):
                chance = float(np.clip(p if truth else 1.0 - p, 1e-6, 1.0))
                one |= {f"{kind} log loss": float(-np.log(chance))}
        found.append(one)
    names = sorted({name for one in found for name in one})
    means = {n: float(np.mean([one[n] for one in found if n in one])) for n in names}
    evidence = head.evidence["trust"]
    return means | {"normalised": float(evidence.get("normalised", False))}


def summary(trials: Iterable[dict[str, float]]) -> dict[str, Any]:
    """Each figure's mean over trials and that mean's standard error."""
    rows = list(trials)
    found: dict[str, Any] = {"trials": len(rows)}
    for name in sorted({n for row in rows for n in row}):
        values = np.array([row[name] for row in rows if name in row])
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
        found[name] = [float(values.mean()), float(error)]
    return found


def resplit(x: Array, cohort: Cohort[Task], splits: int) -> Iterator[Data]:
    """Another quarter of the subjects held out each time; of a binary task, of either class."""
    rows, binary = cohort.rows, cohort.task.kind == "binary"
    group = {row.subject: row.label if binary else 0.0 for row in rows}
    groups = [sorted(s for s, g in group.items() if g == which) for which in set(group.values())]
    for seed in range(splits):
        rng = np.random.default_rng(seed)
        out = {s for names in groups for s in rng.permutation(names)[: len(names) // 4]}
        yield Data(x, cohort, np.array([row.subject in out for row in rows]))


def law(task: Task, draws: int, scans: int, new: int, most: int) -> Iterator[Data]:
    """Embeddings of a known law, drawn anew each time; subjects of one to `most` scans."""
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        own = rng.normal(size=(scans + new, 64))  # what a subject's scans share
        counts = rng.integers(1, most + 1, size=scans)
        counts = counts[: int(np.searchsorted(np.cumsum(counts), scans)) + 1]
        subject = np.repeat(np.arange(len(counts)), counts)[:scans]
        subject = np.concatenate([subject, len(counts) + np.arange(new)])  # the new: a scan each
        x = own[subject] + 0.3 * rng.normal(size=(scans + new, 64))
        noise = rng.normal(size=scans + new) * np.exp(0.7 * x[:, 1])
        value = x[:, 0] + noise
        y = 50.0 + 5.0 * np.clip(value, -9, 9) if task is AGE else (value > 0.5).astype(float)
        rows = [
            Row(str(s), Path(str(i)), None, float(v), None, i)
            for i, (s, v) in enumerate(zip(subject, y, strict=True))
        ]
        yield Data(x, Cohort(Path("law"), task, rows), np.arange(scans + new) >= scans)


def real(folder: Path, cache: Path, bundle: Path | None) -> tuple[Array, list[Cohort[Task]]]:
    """A cohort's embeddings by the bundle's own graph, and the cohort by task."""
    with bundles.open(bundle) as opened:
        cohort = cohorts.read(folder, AGE)
        entries = prepare(cohort, cache / "volumes", opened)
        wish = Wish(engine="onnxruntime", precision="float32")
        with Predictor(opened, wish=wish) as predictor:
            found, name = [], opened.manifest.encoder.embedding
            for entry in entries:
                feed = {
                    "volume": np.asarray(entry.volume, dtype=np.float32)[None, None],
                    "mask": np.asarray(entry.mask, dtype=np.float32)[None, None],
                }
                found.append(predictor.engine.run(feed)[name][0])
    return np.stack(found).astype(np.float64), [cohorts.read(folder, t) for t in (AGE, SEX)]


def main() -> None:
    """Run every kind of data, print a line for each, and write JSON."""
    args = script.options(
        __doc__,
        "cohort?",
        splits=100,
        draws=20,
        heads=800,
        cache=Path(".cache/fmtool"),
        bundle=Path,
        json=Path,
    )
    found: dict[str, Any] = {}

    def run(name: str, data: Iterable[Data], task: Task) -> None:
        key = f"{name}, {task.name}"
        found[key] = summary(trial(one, seed) for seed, one in enumerate(data))
        print(key, json.dumps(found[key]), flush=True)
        script.keep(found, args.json)

    if args.cohort is not None:
        x, read = real(args.cohort, args.cache, args.bundle)
        for one in read:
            run("real", resplit(x, one, args.splits), one.task)
    for task in (AGE, SEX):
        run("law", law(task, args.draws, 500, 1000, 1), task)
        run("law, repeated scans", law(task, args.draws, 500, 1000, 4), task)
    if args.heads:
        torch.manual_seed(0)
        heads, drawn = learnability.cohort(args.heads, seed=1)
        y = learnability.embed(encoders.build(width=learnability.WIDTH), heads).astype(np.float64)
        for one in drawn:
            run("synthetic heads", resplit(y, one, args.draws), one.task)


if __name__ == "__main__":
    main()
