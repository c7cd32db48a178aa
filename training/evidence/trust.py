"""What a head knows of its own limits: intervals or prediction sets, calibration, novelty.

From one cross-validation by subject (`cross`, for probes: CV+), or from scans that a trained
network never saw (`split`, for training from labels: split conformal).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fmtool.task import Task
from runtime.trust import Trust, classes
from runtime.trust.folds import SLACK, Folds
from runtime.trust.interval import Difficulty, interval
from training.cohort import Cohort
from training.evidence import calibration, conformal, difficulty, novelty, tendency
from training.evidence.conformal import LEVEL, Array
from training.evidence.difficulty import Affine
from training.evidence.splits import Split


def cross(
    x: Array,
    cohort: Cohort[Task],
    plan: Sequence[Split],
    heads: Sequence[tuple[Array, float]],
    predictions: Array,
    affine: Affine,
    seed: int,
) -> tuple[Trust, dict[str, Any]]:
    """Trust by the heads of one cross-validation, and its summary for people.

    Args:
        x: (N, F) embeddings.
        cohort: of the head's task.
        plan: K splits by subject.
        heads: weight and bias of each fold.
        predictions: (repeats, N) out-of-fold values or logits, those of `plan` among them.
        affine: fits a head.
        seed: of what is drawn.
    """
    weights, biases = np.array([w for w, _ in heads]), np.array([b for _, b in heads])
    folds = conformal.folds_of(x, cohort, plan, weights, biases)
    hard = None
    if cohort.task.kind == "regression":
        folds, hard = difficulty.choose(x, cohort, plan, folds, affine)
    return of_folds(f"CV+ over {len(plan)} folds", x, cohort, folds, hard, predictions, seed)


def split(
    x: Array, cohort: Cohort[Task], weight: Array, bias: float, seed: int
) -> tuple[Trust, dict[str, Any]]:
    """Trust by scans that neither set the weights nor chose the epoch.

    Args:
        x: (N, F) embeddings.
        cohort: of the head's task.
        weight: (F,) of the head.
        bias: of the head.
        seed: of what is drawn.
    """
    every = np.arange(len(x))
    plan = [(every[:0], every)]
    folds = conformal.folds_of(x, cohort, plan, weight[None], np.array([bias]))
    return of_folds("split conformal", x, cohort, folds, None, (x @ weight + bias)[None], seed)


def of_folds(
    method: str,
    x: Array,
    cohort: Cohort[Task],
    folds: Folds,
    hard: Difficulty | None,
    predictions: Array,
    seed: int,
) -> tuple[Trust, dict[str, Any]]:
    """Trust by heads and the scores of scans that each had not seen; the arguments are `cross`'s.

    Args:
        method: in words.
        folds: by `conformal.folds_of`.
        hard: of a regression's normalised residuals.
    """
    if cohort.task.kind == "binary":
        trust, found = _binary(folds, cohort, seed)
    else:
        lines = tendency.fit(cohort, predictions, seed)
        trust, found = Trust(LEVEL, folds, hard, tendency=lines), {}
    trust = replace(_anonymous(trust), novelty=novelty.fit(x, cohort.subjects, seed))
    return trust, {"method": method, **_summary(trust, x, cohort), **found}


def _anonymous(trust: Trust) -> Trust:
    """The same, its scans in the order of their scores: not in that of a table that names them."""
    folds, order = trust.folds, np.argsort(trust.folds.score, kind="stable")
    shuffled = replace(
        folds, fold=folds.fold[order], score=folds.score[order], mass=folds.mass[order]
    )
    labels = None if trust.labels is None else trust.labels[order]
    return replace(trust, folds=shuffled, labels=labels)


def _binary(folds: Folds, cohort: Cohort[Task], seed: int) -> tuple[Trust, dict[str, Any]]:
    y, subjects = cohort.labels, cohort.subjects
    if len(np.unique(y)) < 2:
        return Trust(LEVEL, folds), {}
    in_class = conformal.masses([f"{s} {c}" for s, c in zip(subjects, y, strict=True)])
    fewest = min(in_class[y == c].sum() for c in (0.0, 1.0))
    by_class = bool((fewest + 1.0) * (1.0 - LEVEL) >= 1.0 - SLACK)
    probability, loss = calibration.choose(folds.score, cohort, seed)
    if by_class:
        folds = replace(folds, mass=in_class)
    trust = Trust(LEVEL, folds, labels=y, by_class=by_class, probability=probability)
    return trust, {"probability": probability.to_dict()["kind"], "log_loss": loss}


def _summary(trust: Trust, x: Array, cohort: Cohort[Task]) -> dict[str, Any]:
    """Figures for the card and the table; JSON."""
    count = len(set(cohort.subjects))
    found: dict[str, Any] = {
        "level": trust.level,
        "subjects": count,
        "guarantee": conformal.guarantee(trust.level, count, len(trust.folds.bias)),
        "novelty": trust.novelty.least if trust.novelty else None,
    }
    if trust.labels is not None:
        every = [classes.p_values(trust.folds, trust.labels, e, trust.by_class) for e in x]
        single = [len(classes.members(values, LEVEL)) == 1 for values in every]
        share = float(np.average(single, weights=conformal.masses(cohort.subjects)))
        return found | {"by_class": trust.by_class, "one_class": share}
    if cohort.task.kind == "binary":  # of one class: neither a set nor a probability
        return found
    spans = [interval(trust.folds, e, trust.level, trust.difficulty) for e in x]
    widths = [s.high - s.low for s in spans if s is not None]
    return found | {
        "width": float(np.median(widths)) if widths else None,
        "normalised": trust.difficulty is not None,
        "slope": trust.tendency.slope if trust.tendency else None,
    }
