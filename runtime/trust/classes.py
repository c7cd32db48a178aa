"""A binary task's calibrated probability, and the classes that cannot be excluded.

The prediction set is cross-conformal: a class stays unless the scan lies further from it than all
but a share of the calibration scans of that class did, each under the head that never saw it
(Romano, Sesia and Candes 2020, arXiv 2006.02544; by class: Vovk, arXiv 1209.2673).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from runtime.trust.folds import SLACK, Array, Folds, array, number


class Calibrator(Protocol):
    """From a head's logit to a probability."""

    def __call__(self, logit: float) -> float:
        """Of class 1."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""


@dataclass(frozen=True)
class Platt:
    """A sigmoid of an affine map of the logit."""

    slope: float
    intercept: float

    def __call__(self, logit: float) -> float:
        """Of class 1."""
        return sigmoid(self.slope * logit + self.intercept)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"kind": "platt", "slope": self.slope, "intercept": self.intercept}


@dataclass(frozen=True)
class Isotonic:
    """A rising line through points; level beyond the first and the last."""

    logits: Array
    probabilities: Array

    def __post_init__(self) -> None:
        rising = all((np.diff(a) >= 0).all() for a in (self.logits, self.probabilities))
        if self.logits.shape != self.probabilities.shape or not self.logits.size or not rising:
            raise ValueError("an isotonic calibration's points do not rise")

    def __call__(self, logit: float) -> float:
        """Of class 1."""
        return float(np.interp(logit, self.logits, self.probabilities))

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        points = {"logits": self.logits.tolist(), "probabilities": self.probabilities.tolist()}
        return {"kind": "isotonic", **points}


def calibrator(data: Mapping[str, Any]) -> Calibrator:
    """The inverse of `to_dict`.

    Raises:
        KeyError, ValueError: for anything else; `runtime.trust.read` tells the user.
    """
    if data["kind"] == "platt":
        return Platt(number(data["slope"]), number(data["intercept"]))
    if data["kind"] == "isotonic":
        return Isotonic(array(data["logits"]), array(data["probabilities"]))
    raise ValueError(f"no calibration is called {data['kind']!r}")


def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), without overflow at either end."""
    return float(0.5 * (1.0 + np.tanh(0.5 * logit)))


def p_values(
    folds: Folds, labels: Array, embedding: ArrayLike, by_class: bool
) -> tuple[float, float]:
    """How usual the scan would be among those of class 0, and of class 1.

    Args:
        folds: with the calibration scans' logits.
        labels: (N,) 0 or 1.
        embedding: (F,).
        by_class: compare within each class (coverage holds for each), or among all scans.
    """
    return among(folds.score, folds.mass, labels, folds(embedding), by_class)


def among(
    score: Array, mass: Array, labels: Array, new: Array, by_class: bool
) -> tuple[float, float]:
    """`p_values` of a scan to which the N calibration scans' heads give the logits `new`, (N,)."""
    found = []
    for label in (0.0, 1.0):
        sign = 1.0 if label else -1.0  # a low logit is strange in class 1, a high one in class 0
        rows = labels == label if by_class else np.ones(len(labels), dtype=np.bool_)
        own = sign * score if by_class else np.where(labels > 0.5, score, -score)
        stranger = rows & (own <= sign * new)
        found.append(float((mass[stranger].sum() + 1.0) / (mass[rows].sum() + 1.0)))
    return found[0], found[1]


def members(p: Sequence[float], level: float) -> list[int]:
    """The classes of a prediction set: those whose p-value is above 1 - level, or the likelier.

    The likelier class always stays: where a head parts the classes well, most of the scans that it
    would exclude from both are ordinary ones between them.
    """
    bound = min(1.0 - level + SLACK, max(p) - SLACK)
    return [label for label, value in enumerate(p) if value > bound]


def at_prevalence(probability: float, share: float, prevalence: float) -> float:
    """A probability fitted where class 1 has the share `share`, where it has another, by Bayes."""
    odds = prevalence / (1.0 - prevalence) * (1.0 - share) / share
    return odds * probability / (odds * probability + 1.0 - probability)
