"""A binary head's logits as probabilities: Platt's sigmoid or an isotonic line.

Both are fitted on out-of-fold logits, each subject weighing one; which, cross-validated log loss
over subjects decides, and below `FEWEST` subjects it is Platt's: an isotonic line has as many
parameters as the data like. The head that ships was fitted on all scans; its logits are taken to be
those of the folds' heads, as in scikit-learn's `CalibratedClassifierCV(ensemble=False)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from fmtool.task import Task
from runtime.trust.classes import Calibrator, Isotonic, Platt
from training.cohort import Cohort
from training.evidence import splits
from training.evidence.evaluate import Array, masses

FEWEST = 200
"""Subjects for an isotonic line."""

_FOLDS = 5

Fit = Callable[[Array, Array, Array], Calibrator]


def platt(logits: Array, labels: Array, mass: Array) -> Platt:
    """Maximum likelihood with Platt's targets, which keep it finite where the classes part.

    A slope below zero would say that the head is wrong more often than right: it becomes zero, and
    the probability the classes' share.

    Args:
        logits: (N,).
        labels: (N,) 0 or 1.
        mass: (N,).
    """
    ones, zeros = mass[labels > 0.5].sum(), mass[labels <= 0.5].sum()
    target = np.where(labels > 0.5, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    both = np.concatenate([logits, logits])[:, None]
    weight = np.concatenate([mass * target, mass * (1 - target)])
    classes = np.repeat([1, 0], len(logits))
    spread = float(logits.std()) or 1.0
    model = LogisticRegression(C=np.inf, max_iter=1000).fit(both / spread, classes, weight)
    slope = float(model.coef_[0, 0]) / spread
    if slope < 0.0:
        return Platt(0.0, float(np.log((ones + 1) / (zeros + 1))))
    return Platt(slope, float(model.intercept_[0]))


def isotonic(logits: Array, labels: Array, mass: Array) -> Isotonic:
    """The rising line of least squares, kept from the certainty that no sample proves.

    Args:
        logits: (N,).
        labels: (N,) 0 or 1.
        mass: (N,).
    """
    least = 1.0 / (float(mass.sum()) + 2.0)
    model = IsotonicRegression(y_min=least, y_max=1.0 - least, out_of_bounds="clip")
    model.fit(logits, labels, sample_weight=mass)
    return Isotonic(
        np.asarray(model.X_thresholds_, dtype=np.float64),
        np.asarray(model.y_thresholds_, dtype=np.float64),
    )


def choose(logits: Array, cohort: Cohort[Task], seed: int) -> tuple[Calibrator, Array | None]:
    """The calibration, and its cross-validated probabilities, (N,); None of too few subjects.

    Args:
        logits: (N,) out-of-fold.
        cohort: of a binary task.
        seed: of the folds.
    """
    labels, mass = cohort.labels, masses(cohort.subjects)
    fits: list[Fit] = [platt, isotonic] if mass.sum() > FEWEST - 0.5 else [platt]
    least = min(len(set(cohort.take(np.flatnonzero(labels == c)).subjects)) for c in (0, 1))
    if least < _FOLDS:
        return platt(logits, labels, mass), None
    plan = splits.by_subject(cohort, _FOLDS, seed)
    found = [_out_of_fold(fit, logits, labels, mass, plan) for fit in fits]
    best = int(np.argmin([log_loss(p, cohort) for p in found]))
    return fits[best](logits, labels, mass), found[best]


def log_loss(probability: Array, cohort: Cohort[Task]) -> float:
    """Of (N,) probabilities of class 1; every subject counts once."""
    right = np.where(cohort.labels > 0.5, probability, 1 - probability)
    with np.errstate(divide="ignore"):  # what was called impossible costs more than all else
        return float(np.average(-np.log(right), weights=masses(cohort.subjects)))


def _out_of_fold(
    fit: Fit, logits: Array, labels: Array, mass: Array, plan: Sequence[splits.Split]
) -> Array:
    found = np.empty(len(logits))
    for train, test in plan:
        one = fit(logits[train], labels[train], mass[train])
        found[test] = [one(z) for z in logits[test]]
    return found
