"""The linear model of the smoothed scan: what a head must beat to have earned its network.

Ridge regression, or of a class logistic regression, on the maps of `soft_tissue`. On brain scans
such models do as well as deep networks at most sample sizes (Schulz et al., Nature Communications
2020, doi 10.1038/s41467-020-18037-z). There are far more features than scans, so everything is
reckoned from the scans' inner products: a rotation of the features changes nothing in either model,
and one exists in which N scans have N coordinates.

With z the coordinates, m their mean over the training rows and v the mean of |z - m|^2 there:

    regression: w, b minimise  sum (w . (z - m) + b - y)^2 + a |w|^2
    binary:     w, b minimise  sum log(1 + exp(-(2 y - 1)(w . (z - m) + b))) + a |w|^2 / 2

and of classes in an order the regression of their numbers, of which the order alone is compared; a
in v 10^(-3 .. 3) is chosen by three inner folds over subjects, as the probe's strength is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from fmtool.task import Task
from training.cohort import Cohort
from training.evidence import splits
from training.evidence.evaluate import Array
from training.evidence.splits import Split

MOST = 2000
"""Scans: a fit takes their number to the third power, and with more it takes hours."""

_INNER_FOLDS = 3
_STRENGTHS = np.logspace(-3, 3, 7)
_STEPS = 50


def out_of_fold(
    gram: Array | None, cohort: Cohort[Task], plans: Sequence[Sequence[Split]]
) -> Array | None:
    """What the model says of each scan that a plan tests, (plans, N); NaN where none does.

    Args:
        gram: (N, N) inner products of the scans' maps; None where they are not at hand.
        cohort: the same scans.
        plans: of each, row indices to train on and to test on.

    Returns:
        Values or logits. None where the model cannot be fitted: without `gram`, of more than `MOST`
        scans, of another kind of task, or where a training part has too few subjects to choose the
        strength by.
    """
    parts = (cohort.take(train) for plan in plans for train, _ in plan)
    if gram is None or len(gram) > MOST or cohort.task.kind not in _OF_KIND:
        return None
    if not all(map(_enough, parts)):
        return None
    found = np.full((len(plans), len(gram)), np.nan)
    z = coordinates(gram)
    with threadpool_limits(1):  # small fits, one after another
        for said, plan in zip(found, plans, strict=True):
            for train, test in plan:
                weight, bias = fit(z[train], cohort.take(train))
                said[test] = z[test] @ weight + bias
    return found


def coordinates(gram: Array) -> Array:
    """(N, N) coordinates whose inner products are `gram`."""
    size, axes = np.linalg.eigh(gram)
    return np.asarray(axes * np.sqrt(np.maximum(size, 0.0)))


def fit(z: Array, cohort: Cohort[Task]) -> tuple[Array, float]:
    """Weight (D,) and bias of the model of (N, D) coordinates.

    Raises:
        InputError: if there are too few subjects for the inner folds.
    """
    strengths, losses = _STRENGTHS, np.zeros(len(_STRENGTHS))
    of_kind, loss = _OF_KIND[cohort.task.kind]
    for train, test in splits.by_subject(cohort, _INNER_FOLDS, seed=0):
        models = of_kind(z[train], cohort.labels[train], strengths)
        losses += [loss(z[test] @ w + b, cohort.labels[test]) for w, b in models]
    return of_kind(z, cohort.labels, strengths[[int(np.argmin(losses))]])[0]


def _enough(cohort: Cohort[Task]) -> bool:
    names = np.asarray(cohort.subjects)
    classes = range(len(cohort.task.classes or ()))
    each = [len(set(names[cohort.labels == c])) for c in classes]
    return len(set(names)) >= 2 * _INNER_FOLDS and min(each, default=_INNER_FOLDS) >= _INNER_FOLDS


def _ridge(z: Array, y: Array, strengths: Array) -> list[tuple[Array, float]]:
    """In the dual: as many equations as scans."""
    around, gram, scale = _centred(z)
    level, each = float(y.mean()), np.eye(len(z))
    duals = [np.linalg.solve(gram + s * scale * each, y - level) for s in strengths]
    return [_primal(dual, level, z, around) for dual in duals]


def _logistic(z: Array, y: Array, strengths: Array) -> list[tuple[Array, float]]:
    """In the dual, by Newton's steps (Rasmussen and Williams 2006, algorithm 3.1), the strongest
    first: the next begins where it ends."""
    around, gram, scale = _centred(z)
    dual, bias, found = np.zeros(len(z)), 0.0, {}
    for strength in sorted(strengths, reverse=True):
        dual, bias = _newton(gram, y, strength * scale, dual, bias)
        found[strength] = _primal(dual, bias, z, around)
    return [found[strength] for strength in strengths]


def _newton(gram: Array, y: Array, penalty: float, dual: Array, bias: float) -> tuple[Array, float]:
    """What minimises the log losses + penalty |w|^2 / 2, where w = sum dual * (z - m)."""

    def cost(dual: Array, bias: float) -> float:
        own = gram @ dual
        return _log_losses(own + bias, y) + penalty / 2 * float(dual @ own)

    now = cost(dual, bias)
    for _ in range(_STEPS):
        said = gram @ dual + bias
        chance = 1.0 / (1.0 + np.exp(-said))
        root = np.sqrt(np.maximum(chance * (1 - chance), 1e-12))
        aim = root * said + (y - chance) / root
        inner = root[:, None] * gram * root + penalty * np.eye(len(y))
        by_aim, by_one = np.linalg.solve(inner, np.stack([aim, root], axis=1)).T
        level = float(root @ by_aim) / float(root @ by_one)
        move, lift, part = root * (by_aim - level * by_one) - dual, level - bias, 1.0
        then = cost(dual + move, bias + lift)
        while then > now and part > 1e-6:
            part /= 2
            then = cost(dual + part * move, bias + part * lift)
        if now - then <= 1e-9 * (1.0 + now):
            break
        dual, bias, now = dual + part * move, bias + part * lift, then
    return dual, bias


def _centred(z: Array) -> tuple[Array, Array, float]:
    """Around the mean, the inner products there, and the mean square, or 1 where all are alike."""
    around = z - z.mean(axis=0)
    gram = around @ around.T
    return around, gram, float(np.trace(gram)) / len(z) or 1.0


def _primal(dual: Array, level: float, z: Array, around: Array) -> tuple[Array, float]:
    weight = around.T @ dual
    return weight, level - float(z.mean(axis=0) @ weight)


def _squares(said: Array, y: Array) -> float:
    return float(((said - y) ** 2).sum())


def _log_losses(said: Array, y: Array) -> float:
    return float(np.logaddexp(0.0, np.where(y > 0.5, -said, said)).sum())


_OF_KIND = {
    "regression": (_ridge, _squares),
    "binary": (_logistic, _log_losses),
    "ordinal": (_ridge, _squares),
}
