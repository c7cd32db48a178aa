"""Logits of several classes as probabilities, and what is known of sets of classes.

Platt's sigmoid for K classes: one temperature, one offset a class, of maximum likelihood on
out-of-fold logits with his targets (a class of n subjects is (n + 1) / (n + K) sure), each subject
weighing one (Guo et al. 2017, arXiv 1706.04599, of whose temperature the offsets give a head that
knows nothing the classes' shares). Of classes in an order the offsets are thresholds on the score,
the mean of the steps that stand in place of the logits (`runtime.trust.ordinal`), and a class of n
subjects is (n + 2 / K) / (n + 2) sure: of many classes K doubts would draw all to the middle.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import minimize

from fmtool.task import Task
from runtime.trust import Trust, classes, multiclass, ordinal
from runtime.trust.folds import SLACK, Folds
from runtime.trust.multiclass import Softmax, log_softmax
from runtime.trust.ordinal import Cumulative
from training.cohort import Cohort
from training.evidence import cumulative, evaluate, splits
from training.evidence.conformal import LEVEL
from training.evidence.evaluate import Array, masses

_FOLDS = 5


def fit(logits: Array, cohort: Cohort[Task]) -> Softmax | Cumulative:
    """The calibration; a slope below zero, of a head that is wrong, becomes zero.

    Args:
        logits: (N, K), or the (N, K - 1) steps of an ordinal task.
        cohort: of N scans.
    """
    labels, mass, kinds = cohort.labels, masses(cohort.subjects), len(cohort.task.classes or ())
    own = labels[:, None] == np.arange(kinds)
    counts = own.T @ mass
    if cohort.task.kind == "ordinal":
        target = (own * counts + 2.0 / kinds) / (own @ counts + 2.0)[:, None]
        return _cumulative(logits.mean(axis=1), target * mass[:, None])
    target = np.where(own, counts + 1.0, 1.0) / (own @ counts + kinds)[:, None]
    return _softmax(logits, target, mass)


def _cumulative(score: Array, weight: Array) -> Cumulative:
    """Of (N,) scores; `weight` is how much each says of each class, (N, K)."""
    kinds = weight.shape[1]
    spread, label = float(score.std()) or 1.0, np.tile(np.arange(float(kinds)), len(score))
    scaled = np.repeat(score / spread, kinds)[:, None]
    (slope,), bias = cumulative.fit(scaled, label, weight.ravel(), kinds, 0.0)
    if slope < 0.0:
        (slope,), bias = cumulative.fit(0.0 * scaled, label, weight.ravel(), kinds, 0.0)
    return Cumulative(float(slope) / spread, -bias)


def _softmax(logits: Array, target: Array, mass: Array) -> Softmax:
    kinds = logits.shape[1]
    spread = float(logits.std()) or 1.0
    scaled, total = logits / spread, mass.sum()

    def loss(found: Array) -> tuple[float, Array]:
        log_p = log_softmax(found[0] * scaled + found[1:])
        off = (np.exp(log_p) - target) * mass[:, None] / total
        value = -float((target * log_p * mass[:, None]).sum()) / total
        return value, np.concatenate([[float((off * scaled).sum())], off.sum(axis=0)])

    start = np.concatenate([[spread], np.zeros(kinds)])
    bounds = [(0.0, None), *[(None, None)] * kinds]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    offsets = found[1:] - found[1:].mean()
    return Softmax(float(found[0]) / spread, np.asarray(offsets))


def out_of_fold(logits: Array, cohort: Cohort[Task], seed: int) -> Array | None:
    """(N, K) probabilities, each by a calibration on other subjects; None of too few."""
    names, kinds = np.asarray(cohort.subjects), len(cohort.task.classes or ())
    if min(len(np.unique(names[cohort.labels == c])) for c in range(kinds)) < _FOLDS:
        return None
    found = np.empty((len(logits), kinds))
    for train, test in splits.by_subject(cohort, _FOLDS, seed):
        found[test] = chances(fit(logits[train], cohort.take(train)), logits[test])
    return found


def chances(calibration: Softmax | Cumulative, logits: Array) -> Array:
    """(N, K) probabilities of (N, K) logits, or of (N, K - 1) steps."""
    ordered = isinstance(calibration, Cumulative)
    return calibration(logits.mean(axis=1) if ordered else logits)


def trust(
    folds: Folds, logits: Array, cohort: Cohort[Task], seed: int
) -> tuple[Trust, dict[str, Any]]:
    """Trust in a head of several classes, without its novelty, and its summary for people.

    Args:
        folds: by `conformal.folds_of`.
        logits: (N, K), or (N, K - 1) steps; each scan's by the head that had not seen it.
        cohort: of N scans.
        seed: of the calibration's folds.
    """
    y, subjects, kinds = cohort.labels, cohort.subjects, len(cohort.task.classes or ())
    if len(np.unique(y)) < kinds:
        return Trust(LEVEL, folds), {}
    mass, in_class = masses(subjects), evaluate.class_masses(subjects, y)
    fewest = min(in_class[y == c].sum() for c in range(kinds))
    by_class = bool((fewest + 1.0) * (1.0 - LEVEL) >= 1.0 - SLACK)
    p = out_of_fold(logits, cohort, seed)
    found: dict[str, Any] = {
        "probability": "cumulative" if cohort.task.kind == "ordinal" else "softmax",
        "log_loss": None if p is None else log_loss(p, cohort),
        "by_class": by_class,
        "one_class": float(
            np.average([len(s) == 1 for s in sets(logits, cohort, by_class)], weights=mass)
        ),
        "shares": multiclass.shares(y, mass, kinds),
    }
    if by_class:  # each class's own scans, which share a subject's mass within it
        folds = replace(folds, mass=in_class)
    calibrated = fit(logits, cohort)
    made = Trust(LEVEL, folds, labels=y, by_class=by_class, probabilities=calibrated)
    return made, found


def log_loss(probabilities: Array, cohort: Cohort[Task]) -> float:
    """Of (N, K) probabilities; every subject counts once."""
    own = probabilities[np.arange(len(probabilities)), cohort.labels.astype(np.intp)]
    return float(np.average(-np.log(own), weights=masses(cohort.subjects)))


def sets(logits: Array, cohort: Cohort[Task], by_class: bool) -> list[list[int]]:
    """The prediction set of each scan as new to all the other people's, by its own fold's head.

    Args:
        logits: (N, K), or (N, K - 1) steps; each scan's by the head that had not seen it.
        cohort: of N scans.
        by_class: compare within each class.
    """
    y, names = cohort.labels, np.asarray(cohort.subjects)
    weight = evaluate.class_masses(names.tolist(), y) if by_class else masses(names.tolist())
    ordered = cohort.task.kind == "ordinal"
    strange = (ordinal if ordered else multiclass).strangeness(logits)
    score = strange[np.arange(len(y)), y.astype(np.intp)]
    found = []
    for i in range(len(y)):
        rest = names != names[i]
        new = np.broadcast_to(strange[i], (int(rest.sum()), strange.shape[1]))
        p = multiclass.among(score[rest], weight[rest], y[rest], new, by_class)
        members = classes.members(p, LEVEL)
        found.append(ordinal.run(members) if ordered else members)
    return found
