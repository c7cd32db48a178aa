"""Trust: what a bundle knows of how far each of its heads can be relied on, as plain data.

A bundle's manifest may name a file `trust`: JSON, by task, of what `Trust.to_dict` gives. A bundle
without it works, and its results say that they have no interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fmtool import plain_json
from fmtool.bundle import Bundle
from fmtool.errors import BundleError
from runtime.trust.classes import Calibrator, calibrator
from runtime.trust.folds import Array, Folds, array, number
from runtime.trust.interval import Difficulty
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
        """The value without the tendency: right on average at every truth, but more scattered."""
        return (value - self.intercept) / self.slope


@dataclass(frozen=True)
class Trust:
    """Of one head.

    Attributes:
        level: of intervals and prediction sets.
        folds: see `runtime.trust.folds`.
        difficulty: where normalised intervals are shorter.
        labels: (N,) of a binary task.
        by_class: whether prediction sets compare within each class.
        probability: of a binary task.
        tendency: of a regression whose values follow the truth closely enough to be corrected.
        novelty: the cohort's shape.
    """

    level: float
    folds: Folds
    difficulty: Difficulty | None = None
    labels: Array | None = None
    by_class: bool = False
    probability: Calibrator | None = None
    tendency: Tendency | None = None
    novelty: Novelty | None = None

    def __post_init__(self) -> None:
        features = self.folds.weight.shape[1]
        others = [self.difficulty.weight.shape[1]] if self.difficulty else []
        others += [len(self.novelty.shape.centre)] if self.novelty else []
        if not 0.0 < self.level < 1.0 or any(n != features for n in others):
            raise ValueError("the calibration's parts do not belong together")
        if self.labels is not None and self.labels.shape != self.folds.fold.shape:
            raise ValueError("the calibration's labels do not belong to its scans")

    def to_dict(self) -> dict[str, Any]:
        """Plain data; what is absent is None."""
        tendency = self.tendency
        return {
            "level": self.level,
            "folds": self.folds.to_dict(),
            "difficulty": self.difficulty.to_dict() if self.difficulty else None,
            "labels": self.labels.tolist() if self.labels is not None else None,
            "by_class": self.by_class,
            "probability": self.probability.to_dict() if self.probability else None,
            "tendency": [tendency.slope, tendency.intercept] if tendency else None,
            "novelty": self.novelty.to_dict() if self.novelty else None,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trust:
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: for data that it did not write.
        """
        difficulty, labels, novelty = data["difficulty"], data["labels"], data["novelty"]
        return cls(
            level=number(data["level"]),
            folds=Folds.from_dict(data["folds"]),
            difficulty=Difficulty.from_dict(difficulty) if difficulty else None,
            labels=array(labels) if labels is not None else None,
            by_class=bool(data["by_class"]),
            probability=calibrator(data["probability"]) if data["probability"] else None,
            tendency=Tendency(*map(number, data["tendency"])) if data["tendency"] else None,
            novelty=Novelty.from_dict(novelty) if novelty else None,
        )


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
        if trust.folds.weight.shape[1] != features:
            raise BundleError(
                f"{path} calibrates {task} for {trust.folds.weight.shape[1]} features, and the "
                f"bundle's encoder has {features}; export the bundle again"
            )
    return found
