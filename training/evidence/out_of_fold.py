"""Out-of-fold predictions, a row per scan: by heads that had seen none of its subject's scans.

What a scatter plot of a paper shows. Answers of the head that ships, on the scans that it was
fitted on, would be too good. The table names participants: it stands beside the head on the disk of
whoever fitted it, and no part of it goes into a bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool.task import Task
from runtime.report import columns
from runtime.report.columns import WHO, TableColumn
from runtime.report.rows import Record
from runtime.report.rows import write as write_table
from runtime.trust import classes, ordinal
from runtime.trust.folds import quantile
from runtime.trust.multiclass import log_softmax
from training.cohort import Cohort
from training.evidence import calibration, evaluate, probabilities
from training.evidence.conformal import LEVEL, Array
from training.evidence.ordinal import answered

_FOUND_BY = "by the head that had not seen the participant"
_ANSWER = {"multiclass": "likeliest", "ordinal": "median"}


def beside(out: Path) -> Path:
    """Where the table of a head, or of a child bundle, at `out` stands."""
    return out.with_name(f"{out.stem}.out-of-fold.csv")


def rows(
    cohort: Cohort[Task],
    predictions: Array,
    fold: NDArray[np.intp],
    baseline: Array,
    others: Mapping[str, Array],
    volumes_ml: Array | None = None,
    expected: Array | None = None,
    seed: int = 0,
) -> list[Record]:
    """The table's rows, in the cohort's order.

    The values and their limits are those of the first cross-validation; a limit is made of the
    other subjects' scores, as at run time, by the scan's own fold alone.

    Args:
        cohort: of N scans.
        predictions: (repeats, N) out-of-fold values, or logits of class 1; (repeats, N, K) logits
            of K classes, or K steps between classes in an order.
        fold: (N,) which of the first cross-validation's heads each is of.
        baseline: (N,) what `training.evidence.constant` says of the same training parts.
        others: what else was tried in the same folds, by its name: (N,) values or logits each, or
            (N, K); of classes in an order also (N,) the class's number.
        volumes_ml: (N,) brain volumes.
        expected: (N,) by how much each residual is divided; see `training.evidence.difficulty`.
        seed: of the calibration's folds.
    """
    found: list[Record] = []
    for row, number in zip(cohort.rows, fold, strict=True):
        who = columns.who(str(row.image))
        if row.named:
            who["participant_id"] = row.told or row.subject
        if row.session:
            who["session_id"] = row.session
        found.append({**who, "scan": row.image.name, "site": row.site, "fold": int(number) + 1})
    kinds = {"regression": _regression, "binary": _binary}
    of_kind = kinds.get(cohort.task.kind, _several)
    own = of_kind(cohort, predictions, others, expected, seed)
    names, several = cohort.task.classes or (), cohort.task.several
    own["predicted_by_baseline"] = [names[int(b)] for b in baseline] if several else list(baseline)
    if volumes_ml is not None:
        own["brain_volume_ml"] = list(np.asarray(volumes_ml, dtype=np.float64))
    for name, values in own.items():
        for row_found, value in zip(found, values, strict=True):
            row_found[name] = float(value) if isinstance(value, np.floating) else value
    return found


def _regression(
    cohort: Cohort[Task],
    predictions: Array,
    others: Mapping[str, Array],
    expected: Array | None,
    seed: int,
) -> dict[str, list[Any]]:
    del seed
    y, first = cohort.labels, predictions[0]
    scale = np.ones(len(y)) if expected is None else expected
    score, mass = np.abs(y - first) / scale, evaluate.masses(cohort.subjects)
    low: list[float | None] = [None] * len(y)
    high = list(low)
    for own in _by_subject(cohort):
        rest = np.ones(len(y), dtype=np.bool_)
        rest[own] = False
        reach = quantile(score[rest], mass[rest], LEVEL)
        for i in own if reach is not None else ():
            low[i], high[i] = first[i] - reach * scale[i], first[i] + reach * scale[i]
    return {
        "truth": list(y),
        "predicted": list(first),
        "low": low,
        "high": high,
        "absolute_error": list(np.abs(predictions - y).mean(axis=0)),
        **{f"predicted_by_{name}": list(values) for name, values in others.items()},
    }


def _binary(
    cohort: Cohort[Task],
    predictions: Array,
    others: Mapping[str, Array],
    expected: Array | None,
    seed: int,
) -> dict[str, list[Any]]:
    del expected
    names, y, first = cohort.task.classes, cohort.labels, predictions[0]
    assert names is not None
    in_class = evaluate.class_masses(cohort.subjects, y)
    _, calibrated = calibration.choose(first, cohort, seed)
    sets = [""] * len(y)
    for own in _by_subject(cohort):
        rest = np.ones(len(y), dtype=np.bool_)
        rest[own] = False
        for i in own:
            new = np.full(int(rest.sum()), first[i])
            p = classes.among(first[rest], in_class[rest], y[rest], new, True)
            sets[i] = "|".join(names[label] for label in classes.members(p, LEVEL))
    return {
        "truth": [names[int(label)] for label in y],
        "logit": list(first),
        "predicted": [classes.sigmoid(z) for z in first],
        "probability": [None] * len(y) if calibrated is None else list(calibrated),
        "set": sets,
        **{f"predicted_by_{n}": [classes.sigmoid(z) for z in v] for n, v in others.items()},
    }


def _several(
    cohort: Cohort[Task],
    predictions: Array,
    others: Mapping[str, Array],
    expected: Array | None,
    seed: int,
) -> dict[str, list[Any]]:
    del expected
    names, y, first = cohort.task.classes or (), cohort.labels, predictions[0]
    calibrated = probabilities.out_of_fold(first, cohort, seed)
    sets = [""] * len(y)
    for i, members in enumerate(probabilities.sets(first, cohort, True)):
        sets[i] = "|".join(names[label] for label in members)
    if cohort.task.kind == "ordinal":
        plain, raw = np.exp(ordinal.log_chances(first)), {"score": list(first.mean(axis=1))}
    else:
        plain = np.exp(log_softmax(first))
        raw = {f"logit_{name}": list(first[:, c]) for c, name in enumerate(names)}
    answers = _named(first, cohort.task)
    if cohort.task.kind == "ordinal":
        answers = [names[int(c)] for c in answered(first, cohort, seed)]
    found = {
        "truth": [names[int(label)] for label in y],
        "predicted": answers,
        **raw,
        **{f"predicted_{name}": list(plain[:, c]) for c, name in enumerate(names)},
        "set": sets,
        **{f"predicted_by_{n}": _named(z, cohort.task) for n, z in others.items()},
    }
    if calibrated is not None:
        found |= {f"probability_{n}": list(calibrated[:, c]) for c, n in enumerate(names)}
    return found


def _named(said: Array, task: Task) -> list[str]:
    """Each scan's class, by (N, K) logits or steps, or by (N,) numbers of classes in an order."""
    if task.kind != "ordinal":
        found = said.argmax(axis=1)
    elif said.ndim > 1:
        found = ordinal.median(said)
    else:
        found = np.rint(np.clip(said, 0, task.logits))
    return [(task.classes or ())[int(c)] for c in found]


def _by_subject(cohort: Cohort[Task]) -> list[NDArray[np.intp]]:
    """Each subject's positions."""
    _, who = np.unique(np.asarray(cohort.subjects), return_inverse=True)
    return np.split(np.argsort(who, kind="stable"), np.cumsum(np.bincount(who))[:-1])


def write(path: Path, found: list[Record], task: Task) -> None:
    """Write the rows as a CSV, and the dictionary of its columns beside it.

    Raises:
        InputError: if either cannot be written.
    """
    known = _columns(task)
    names = [name for name in found[0] if any(row[name] is not None for row in found)]
    write_table(path, found, {name: known.get(name) or _other(name, task) for name in names})


_COVARIATE = "covariate_"


def _other(name: str, task: Task) -> TableColumn:
    if name.startswith(_COVARIATE):
        return TableColumn(f"The covariate {name.removeprefix(_COVARIATE)}, as the table has it.")
    unit = "" if task.several else "probability" if task.classes else task.unit
    what = "The class that" if task.several else "What"
    who = name.removeprefix("predicted_by_").replace("_", " ")
    who = f"{who} alone predicts"
    if name == "predicted_by_covariates":
        who = "the covariates alone predict"
    elif name == "predicted_with_covariates":
        who = "the head's value and the covariates together predict"
    return TableColumn(f"{what} {who}, in the same folds.", unit)


def _columns(task: Task) -> dict[str, TableColumn]:
    level, unit = f"{100 * LEVEL:.0f} %", task.unit
    own = {
        "truth": TableColumn(f"{task.label} in the cohort's table.", unit),
        "predicted": TableColumn(f"{task.name} {_FOUND_BY}.", unit),
        "low": TableColumn(f"Lower limit of the {level} interval.", unit),
        "high": TableColumn(f"Upper limit of the {level} interval.", unit),
        "absolute_error": TableColumn(
            "|predicted - truth|, the mean over the repeated cross-validations; its mean, every "
            "participant counting once, is the head's MAE.",
            unit,
        ),
    }
    if task.several:
        truth = TableColumn(
            f"{task.label} in the cohort's table.", levels={c: c for c in task.classes or ()}
        )
        own |= {
            "truth": truth,
            "predicted": TableColumn(f"The {_ANSWER[task.kind]} class {_FOUND_BY}."),
            "score": TableColumn(
                f"Score, {_FOUND_BY}: log-odds of one class more; compare within a fold."
            ),
            "set": TableColumn(f"Classes that cannot be excluded at {level}, joined by |."),
        }
        for name in task.classes or ():
            said = f"Probability of {name}, calibrated on the other participants."
            own |= {
                f"logit_{name}": TableColumn(
                    f"Logit of {name}, {_FOUND_BY}; compare within a fold."
                ),
                f"predicted_{name}": TableColumn(f"Uncalibrated: of {name}.", "probability"),
                f"probability_{name}": TableColumn(said, "probability"),
            }
    elif task.classes:
        second = task.classes[1]
        own |= {
            "truth": TableColumn(
                f"{task.label} in the cohort's table.", levels={c: c for c in task.classes}
            ),
            "logit": TableColumn(f"Log-odds of {second}, {_FOUND_BY}; compare within a fold."),
            "predicted": TableColumn(f"Sigmoid of the logit: of {second}.", "probability"),
            "probability": TableColumn(
                f"Of {second}, calibrated on the other participants.", "probability"
            ),
            "set": TableColumn(f"Classes that cannot be excluded at {level}, joined by |."),
        }
    return {
        **WHO,
        "scan": TableColumn("The scan's file."),
        "site": TableColumn("Where it was scanned, by the cohort's table."),
        "fold": TableColumn("Which of the first cross-validation's test parts the scan is in."),
        "brain_volume_ml": TableColumn("Volume of the brain mask.", "mL"),
        **own,
    }
