"""The proportional-odds model, fitted: one weight, and a bias for each step between the classes.

With z the rows, m their masses, and steps as `runtime.trust.ordinal` has them (step k is the
log-odds of lying beyond it):

    w, b minimise  sum m -log P(y | steps w . z + b_k) + a |w|^2 / 2        with b_1 > ... > b_(K-1)

The sum is convex (Pratt, JASA 1981) and endless where two steps meet, so Newton's steps, halved
until they lower it, find its one minimum.
"""

from __future__ import annotations

import numpy as np

from fmtool.errors import InputError
from runtime.trust.ordinal import log_chances
from training.evidence.evaluate import Array

_STEPS = 100
_HALVINGS = 40
_EXACT = 1e-11  # of the sum, that another step would win
_FLAT = 1e-9  # added to the curvature: a feature that never varies has none


def fit(z: Array, y: Array, mass: Array, kinds: int, penalty: float) -> tuple[Array, Array]:
    """Weight (D,) and biases (K - 1,).

    Args:
        z: (n, D).
        y: (n,) 0 to K - 1.
        mass: (n,) how much each counts.
        kinds: K.
        penalty: a.

    Raises:
        InputError: if a class has no row: nothing says where it ends.
    """
    share = np.array([mass[y == c].sum() for c in range(kinds)])
    if not share.all():
        raise InputError(f"no scan to fit by is of class {int(share.argmin())}, counted from 0")
    total, features = float(share.sum()), z.shape[1]
    beyond = 1.0 - np.cumsum(share)[:-1] / total
    found = np.concatenate([np.zeros(features), np.log(beyond / (1.0 - beyond))])
    now = _cost(found, z, y, mass, penalty)
    for _ in range(_STEPS):
        slope, curvature = _slopes(found, z, y, mass, penalty)
        move = np.linalg.solve(curvature, -slope)
        then = _cost(found + move, z, y, mass, penalty)
        for _ in range(_HALVINGS):
            if then <= now:
                break
            move = move / 2
            then = _cost(found + move, z, y, mass, penalty)
        if not now - then > _EXACT * (1.0 + abs(now)):
            break
        found, now = found + move, then
    return found[:features], found[features:]


def _cost(found: Array, z: Array, y: Array, mass: Array, penalty: float) -> float:
    weight, bias = found[: z.shape[1]], found[z.shape[1] :]
    if (np.diff(bias) >= 0.0).any():
        return np.inf
    own = log_chances((z @ weight)[:, None] + bias)[np.arange(len(y)), y.astype(np.intp)]
    return float(-mass @ own + penalty / 2 * (weight @ weight))


def _slopes(found: Array, z: Array, y: Array, mass: Array, penalty: float) -> tuple[Array, Array]:
    """The gradient (D + K - 1,) and the Hessian of `_cost`."""
    features, label = z.shape[1], y.astype(np.intp)
    weight, bias = found[:features], found[features:]
    rows, count = np.arange(len(y)), len(bias)
    steps = (z @ weight)[:, None] + bias
    by, own = np.zeros_like(steps), np.zeros((len(y), count, count))
    left, entered = rows[label > 0], label[label > 0] - 1  # the step that leads into the class
    stay, ahead = rows[label < count], label[label < count]  # the step that leads out of it
    p = 0.5 * (1.0 + np.tanh(0.5 * steps))
    by[left, entered] -= 1.0 - p[left, entered]
    own[left, entered, entered] += (p * (1.0 - p))[left, entered]
    by[stay, ahead] += p[stay, ahead]
    own[stay, ahead, ahead] += (p * (1.0 - p))[stay, ahead]
    inner = rows[(label > 0) & (label < count)]
    first, second = label[inner] - 1, label[inner]
    near = 1.0 / np.expm1(bias[first] - bias[second])
    by[inner, first] -= near
    by[inner, second] += near
    bend = near * (1.0 + near)
    own[inner, first, first] += bend
    own[inner, second, second] += bend
    own[inner, first, second] -= bend
    own[inner, second, first] -= bend
    by, own = by * mass[:, None], own * mass[:, None, None]
    across = own.sum(axis=2)
    curvature = np.empty((len(found), len(found)))
    curvature[:features, :features] = (z * across.sum(axis=1)[:, None]).T @ z
    curvature[:features, features:] = z.T @ across
    curvature[features:, :features] = curvature[:features, features:].T
    curvature[features:, features:] = own.sum(axis=0)
    curvature[np.diag_indices(features)] += penalty
    curvature[np.diag_indices(len(found))] += _FLAT
    slope = np.concatenate([z.T @ by.sum(axis=1) + penalty * weight, by.sum(axis=0)])
    return slope, curvature


class ProportionalOdds:
    """`fit` as scikit-learn's models are; every row counts one.

    Args:
        penalty: a.
        kinds: K.
    """

    def __init__(self, penalty: float, kinds: int) -> None:
        self._penalty, self.classes_ = penalty, np.arange(kinds)

    def fit(self, x: Array, y: Array) -> ProportionalOdds:
        """(n, D) rows and (n,) classes."""
        mass, kinds = np.ones(len(y)), len(self.classes_)
        self.coef_, self.intercept_ = fit(x, y, mass, kinds, self._penalty)
        return self

    def predict_log_proba(self, x: Array) -> Array:
        """(n, D) -> (n, K)."""
        return log_chances((x @ self.coef_)[:, None] + self.intercept_)
