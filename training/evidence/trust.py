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
from runtime.trust.folds import SLACK, Folds, quantile
from runtime.trust.interval import Difficulty
from training.cohort import Cohort
from training.evidence import (
    calibration,
    conformal,
    difficulty,
    evaluate,
    novelty,
    probabilities,
    splits,
    tendency,
)
from training.evidence.conformal import LEVEL, Array
from training.evidence.difficulty import Affine
from training.evidence.head import Linear
from training.evidence.splits import Split


def cross(
    x: Array,
    cohort: Cohort[Task],
    plan: Sequence[Split],
    heads: Sequence[Linear],
    predictions: Array,
    affine: Affine,
    seed: int,
    cells: int = 1,
    views: Sequence[Array] | None = None,
) -> tuple[Trust, dict[str, Any]]:
    """Trust by the heads of one cross-validation, and its summary for people.

    Args:
        x: (N, F) embeddings.
        cohort: of the head's task.
        plan: K splits by subject.
        heads: weight and bias of each fold.
        predictions: (repeats, N) out-of-fold values or logits, those of `plan` among them;
            (repeats, N, K) of K classes, or of K steps between classes in an order.
        affine: fits a head.
        seed: of what is drawn.
        cells: of a gridded encoder, in all.
        views: (N, F) embeddings as each fold sees them; all as they are where absent. Novelty is
            of embeddings as they are.
    """
    weights = conformal.stored(np.array([w for w, _ in heads]))
    biases = np.array([b for _, b in heads])
    seen = [x] * len(plan) if views is None else views
    own = splits.own(seen, splits.fold_of(plan, len(x)))
    folds = conformal.folds_of(own, cohort, plan, weights, biases)
    hard = None
    if cohort.task.kind == "regression":
        folds, hard = difficulty.choose(seen, cohort, plan, folds, affine)
    method = f"CV+ over {len(plan)} folds"
    return of_folds(method, own, cohort, folds, hard, predictions, seed, cells, x)


def split(
    x: Array,
    cohort: Cohort[Task],
    weight: Array,
    bias: float | Array,
    seed: int,
    cells: int = 1,
) -> tuple[Trust, dict[str, Any]]:
    """Trust by scans that neither set the weights nor chose the epoch.

    Args:
        x: (N, F) embeddings.
        cohort: of the head's task.
        weight: (F,) of the head, or (K, F).
        bias: of the head, or (K,); of an ordinal one its steps'.
        seed: of what is drawn.
        cells: of a gridded encoder, in all.
    """
    every = np.arange(len(x))
    plan = [(every[:0], every)]
    weights = conformal.stored(weight[None])
    folds = conformal.folds_of(x, cohort, plan, weights, np.array([bias]))
    predicted = conformal.said(x, weight, bias)[None]
    return of_folds("split conformal", x, cohort, folds, None, predicted, seed, cells)


def of_folds(
    method: str,
    x: Array,
    cohort: Cohort[Task],
    folds: Folds,
    hard: Difficulty | None,
    predictions: Array,
    seed: int,
    cells: int = 1,
    plain: Array | None = None,
) -> tuple[Trust, dict[str, Any]]:
    """Trust by heads and the scores of scans that each had not seen; the arguments are `cross`'s.

    Args:
        method: in words.
        folds: by `conformal.folds_of`.
        hard: of a regression's normalised residuals.
        plain: (N, F) embeddings as they are, where `x` is harmonised.
    """
    if cohort.task.kind == "binary":
        trust, found = _binary(folds, cohort, seed)
    elif cohort.task.several:
        logits = conformal.out_of_fold(x, folds.weight, folds.bias, folds.fold)
        trust, found = probabilities.trust(folds, logits, cohort, seed)
    else:
        trust, found = _regression(folds, hard, x, cohort, predictions, seed)
    shape = novelty.fit(x if plain is None else plain, cohort.subjects, seed, cells)
    trust = replace(trust, novelty=shape)
    count = len(set(cohort.subjects))
    summary = {
        "method": method,
        "level": trust.level,
        "subjects": count,
        "guarantee": conformal.guarantee(trust.level, count, len(folds.bias)),
        "novelty": trust.novelty.least if trust.novelty else None,
    }
    return _anonymous(trust), summary | found


def _anonymous(trust: Trust) -> Trust:
    """The same, its scans in the order of their scores: not in that of a table that names them."""
    folds, order = trust.folds, np.argsort(trust.folds.score, kind="stable")
    shuffled = replace(
        folds, fold=folds.fold[order], score=folds.score[order], mass=folds.mass[order]
    )
    labels = None if trust.labels is None else trust.labels[order]
    return replace(trust, folds=shuffled, labels=labels)


def _regression(
    folds: Folds,
    hard: Difficulty | None,
    x: Array,
    cohort: Cohort[Task],
    predictions: Array,
    seed: int,
) -> tuple[Trust, dict[str, Any]]:
    """With figures for the card and the table: what new scans will get, out of fold."""
    lines = tendency.fit(cohort, predictions, seed)
    reach = quantile(folds.score, folds.mass, LEVEL)
    expected = np.ones(len(x))
    if hard is not None:
        expected = np.array([hard(e)[k] for e, k in zip(x, folds.fold, strict=True)])
    found: dict[str, Any] = {"width": None, "normalised": hard is not None, "slope": None}
    if reach is not None:
        found["width"] = float(np.median(2.0 * reach * expected))
        if lines:
            error = tendency.error(cohort, predictions, reach * expected, seed)
            found |= {"slope": lines.slope, "corrected_mae": error}
    return Trust(LEVEL, folds, hard, tendency=lines if reach is not None else None), found


def _binary(folds: Folds, cohort: Cohort[Task], seed: int) -> tuple[Trust, dict[str, Any]]:
    y, subjects = cohort.labels, cohort.subjects
    if len(np.unique(y)) < 2:
        return Trust(LEVEL, folds), {}
    in_class = evaluate.class_masses(subjects, y)
    fewest = min(in_class[y == c].sum() for c in (0.0, 1.0))
    by_class = bool((fewest + 1.0) * (1.0 - LEVEL) >= 1.0 - SLACK)
    probability, p = calibration.choose(folds.score, cohort, seed)
    if by_class:
        folds = replace(folds, mass=in_class)
    trust = Trust(LEVEL, folds, labels=y, by_class=by_class, probability=probability)
    found = {
        "probability": probability.to_dict()["kind"],
        "log_loss": None if p is None else calibration.log_loss(p, cohort),
        "by_class": by_class,
        "one_class": _one_class(trust, y, subjects),
        "prevalence": trust.share,
    }
    if p is not None:
        found |= sides(p, cohort)
    return trust, found


def sides(p: Array, cohort: Cohort[Task]) -> dict[str, dict[str, Any]]:
    """Sensitivity and specificity of (N,) probabilities of class 1, with their intervals."""
    in_class = evaluate.class_masses(cohort.subjects, cohort.labels)
    named = {"sensitivity": 1.0, "specificity": 0.0}
    return {name: _right(p, cohort.labels, in_class, c) for name, c in named.items()}


def _right(p: Array, y: Array, mass: Array, label: float) -> dict[str, Any]:
    """The share of a class's subjects that a probability of one half or more is right of."""
    own = y == label
    share = float(np.average((p[own] >= 0.5) == (label > 0.5), weights=mass[own]))
    low, high = evaluate.share_interval(share, round(float(mass[own].sum())))
    return {"value": share, "interval": [low, high]}


def _one_class(trust: Trust, y: Array, subjects: Sequence[str]) -> float:
    """The share of new scans whose set names one class: each scan as new to all the other people's.

    By its own fold's head alone; the other heads have been fitted on it.
    """
    score, mass, names = trust.folds.score, trust.folds.mass, np.asarray(subjects)
    single = np.empty(len(score))
    for i in range(len(score)):
        rest = names != names[i]
        new = np.full(int(rest.sum()), score[i])
        p = classes.among(score[rest], mass[rest], y[rest], new, trust.by_class)
        single[i] = len(classes.members(p, trust.level)) == 1
    return float(np.average(single, weights=evaluate.masses(subjects)))
