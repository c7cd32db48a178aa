"""Trust: what a bundle knows of how far each of its heads can be relied on, as plain data.

A bundle's manifest may name a file `trust`: JSON, by task, of what `Trust.to_dict` gives. A bundle
without it works, and its results say that they have no interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fmtool import plain_json
from fmtool.bundle import Bundle
from fmtool.errors import BundleError, UsageError
from runtime.trust.classes import Calibrator, calibrator
from runtime.trust.folds import Array, Folds, array, number
from runtime.trust.interval import Difficulty
from runtime.trust.multiclass import Softmax
from runtime.trust.novelty import Novelty

FILE = "trust.json"
"""Its usual name inside a bundle."""


_LEAST_SLOPE = 1e-6


@dataclass(frozen=True)
class Tendency:
    """Regression to the mean: on new scans, value = intercept + slope * truth, on average."""

    slope: float
    intercept: float

    def __post_init__(self) -> None:
        if abs(self.slope) < _LEAST_SLOPE:
            raise ValueError("a tendency without a slope corrects nothing")

    def corrected(self, value: float) -> float:
        """The value without the tendency: more scattered, and less drawn to the cohort's mean."""
        return (value - self.intercept) / self.slope


@dataclass(frozen=True)
class Trust:
    """Of one head.

    Attributes:
        level: of intervals and prediction sets.
        folds: see `runtime.trust.folds`.
        difficulty: where normalised intervals are shorter.
        labels: (N,) of a task of classes.
        by_class: whether prediction sets compare within each class.
        probability: of a binary task.
        probabilities: of a multiclass task.
        tendency: of a regression whose values follow the truth closely enough to be corrected.
        novelty: the cohort's shape.
        prevalence: of class 1 where the head is used; None where that is as in its cohort.
    """

    level: float
    folds: Folds
    difficulty: Difficulty | None = None
    labels: Array | None = None
    by_class: bool = False
    probability: Calibrator | None = None
    tendency: Tendency | None = None
    novelty: Novelty | None = None
    prevalence: float | None = None
    probabilities: Softmax | None = None

    def __post_init__(self) -> None:
        features = self.folds.features
        others = [self.difficulty.weight.shape[1]] if self.difficulty else []
        others += [self.novelty.features] if self.novelty else []
        if not 0.0 < self.level < 1.0 or any(n != features for n in others):
            raise ValueError("the calibration's parts do not belong together")
        if self.labels is not None and self.labels.shape != self.folds.fold.shape:
            raise ValueError("the calibration's labels do not belong to its scans")
        if self.probabilities and self.probabilities.offsets.shape != self.folds.bias.shape[1:]:
            raise ValueError("the calibration's probabilities are of other classes than its heads")
        if self.prevalence is not None and not 0.0 < self.prevalence < 1.0:
            raise ValueError("a prevalence lies between 0 and 1")

    @property
    def share(self) -> float | None:
        """Of class 1 among the subjects that the probability was fitted on."""
        if self.labels is None:
            return None
        mass = self.folds.mass
        return float(mass[self.labels > 0.5].sum() / mass.sum())

    def to_dict(self) -> dict[str, Any]:
        """Plain data; what is absent is None."""
        tendency = self.tendency
        used: dict[str, Any] = {}
        if self.prevalence is not None:
            used["prevalence"] = self.prevalence
        if self.probabilities is not None:
            used["probabilities"] = self.probabilities.to_dict()
        return {
            "level": self.level,
            "folds": self.folds.to_dict(),
            "difficulty": self.difficulty.to_dict() if self.difficulty else None,
            "labels": self.labels.tolist() if self.labels is not None else None,
            "by_class": self.by_class,
            "probability": self.probability.to_dict() if self.probability else None,
            "tendency": [tendency.slope, tendency.intercept] if tendency else None,
            "novelty": self.novelty.to_dict() if self.novelty else None,
            **used,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trust:
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: for data that it did not write.
        """
        difficulty, labels, novelty = data["difficulty"], data["labels"], data["novelty"]
        prevalence, several = data.get("prevalence"), data.get("probabilities")
        return cls(
            level=number(data["level"]),
            folds=Folds.from_dict(data["folds"]),
            difficulty=Difficulty.from_dict(difficulty) if difficulty else None,
            labels=array(labels) if labels is not None else None,
            by_class=bool(data["by_class"]),
            probability=calibrator(data["probability"]) if data["probability"] else None,
            tendency=Tendency(*map(number, data["tendency"])) if data["tendency"] else None,
            novelty=Novelty.from_dict(novelty) if novelty else None,
            prevalence=number(prevalence) if prevalence is not None else None,
            probabilities=Softmax.from_dict(several) if several else None,
        )


def used_at(trusts: Mapping[str, Trust], prevalence: Mapping[str, float]) -> dict[str, Trust]:
    """The same, for use where a task's class 1 has another share than in its cohort.

    Raises:
        UsageError: for a share outside 0 to 1, or a task without a calibrated probability.
    """
    for task, share in prevalence.items():
        if not 0.0 < share < 1.0:
            raise UsageError(f"the prevalence of {task} is {share:g}; it lies between 0 and 1")
        if task in trusts and trusts[task].folds.bias.ndim > 1:
            raise UsageError(f"a prevalence is of two classes, and {task} has more; leave it out")
        if task not in trusts or trusts[task].probability is None:
            raise UsageError(
                f"{task} has no calibrated probability that a prevalence could correct"
            )
    return {n: replace(t, prevalence=prevalence.get(n, t.prevalence)) for n, t in trusts.items()}


def read(bundle: Bundle) -> dict[str, Trust]:
    """What the bundle knows, by task; nothing of a bundle without calibration.

    Raises:
        BundleError: if the file is damaged or of another encoder.
    """
    name = bundle.manifest.trust
    if name is None:
        return {}
    path = bundle.file(name)
    try:
        content = plain_json.loads(bundle.read(name))
        found = {task: Trust.from_dict(data) for task, data in content.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{path} is damaged ({error}); export the bundle again") from None
    features = bundle.manifest.encoder.features
    for task, trust in found.items():
        if trust.folds.features != features:
            raise BundleError(
                f"{path} calibrates {task} for {trust.folds.features} features, and the "
                f"bundle's encoder has {features}; export the bundle again"
            )
        known = bundle.tasks.get(task)
        several = (known.outputs,) if known and known.kind == "multiclass" else ()
        if known and trust.folds.bias.shape[1:] != several:
            raise BundleError(
                f"{path} calibrates {task} for other classes than it has; export the bundle again"
            )
    return found
