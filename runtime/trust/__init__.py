"""Trust: what a bundle knows of how far each of its heads can be relied on, as plain data.

A bundle's manifest may name a file `trust`: JSON, by task, of what `Trust.to_dict` gives. A bundle
without it works, and its results say that they have no interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import ArrayLike

from fmtool import plain_json
from fmtool.bundle import Bundle
from fmtool.errors import BundleError, UsageError
from fmtool.task import Task
from runtime.trust import classes, multiclass, ordinal
from runtime.trust.classes import Calibrator, calibrator
from runtime.trust.folds import Array, Folds, array, number
from runtime.trust.interval import Difficulty
from runtime.trust.multiclass import Softmax
from runtime.trust.novelty import Novelty
from runtime.trust.ordinal import Cumulative

FILE = "trust.json"
"""Its usual name inside a bundle."""

Prevalence = Mapping[str, float | Mapping[str, float]]
"""By task: the share of a binary one's second class, or each class's."""

_ROUNDED = 0.0101
"""Shares such as 0.33, 0.33 and 0.33 add up to 1."""

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
        probabilities: of several classes; of those in an order a `Cumulative`.
        tendency: of a regression whose values follow the truth closely enough to be corrected.
        novelty: the cohort's shape.
        prevalence: of each class where the head is used; None where that is as in its cohort.
    """

    level: float
    folds: Folds
    difficulty: Difficulty | None = None
    labels: Array | None = None
    by_class: bool = False
    probability: Calibrator | None = None
    tendency: Tendency | None = None
    novelty: Novelty | None = None
    prevalence: tuple[float, ...] | None = None
    probabilities: Softmax | Cumulative | None = None

    def __post_init__(self) -> None:
        features = self.folds.features
        others = [self.difficulty.weight.shape[1]] if self.difficulty else []
        others += [self.novelty.features] if self.novelty else []
        single = self.difficulty or self.tendency or self.probability
        apart = self.folds.bias.ndim > 1 and single is not None
        if apart or not 0.0 < self.level < 1.0 or any(n != features for n in others):
            raise ValueError("the calibration's parts do not belong together")
        if self.labels is not None and self.labels.shape != self.folds.fold.shape:
            raise ValueError("the calibration's labels do not belong to its scans")
        if self.probabilities is not None:
            known = self.probabilities
            ordered = isinstance(known, Cumulative)
            each = known.thresholds if isinstance(known, Cumulative) else known.offsets
            if ordered != self.folds.in_order or each.shape != self.folds.bias.shape[1:]:
                raise ValueError(
                    "the calibration's probabilities are of other classes than its heads"
                )
        if self.prevalence is not None:
            if not all(0.0 < share < 1.0 for share in self.prevalence):
                raise ValueError("a prevalence lies between 0 and 1")
            if len(self.prevalence) != self.folds.kinds or abs(sum(self.prevalence) - 1) > _ROUNDED:
                raise ValueError("a prevalence is a share of each class, and they add up to 1")
            if self.labels is not None and not all(self.shares):
                raise ValueError("a prevalence needs calibration scans of each class")

    @property
    def share(self) -> float | None:
        """Of class 1 among the subjects that the probability was fitted on."""
        return self.shares[1] if self.shares else None

    @property
    def shares(self) -> list[float]:
        """Each class's among the subjects that the probabilities were fitted on, if it is known."""
        if self.labels is None:
            return []
        return multiclass.shares(self.labels, self.folds.mass, self.folds.kinds)

    def p_values(self, embedding: ArrayLike) -> Sequence[float]:
        """How usual a scan would be among those of each class; of a trust that has labels.

        Args:
            embedding: (F,).
        """
        assert self.labels is not None
        if self.folds.bias.ndim == 1:
            return classes.p_values(self.folds, self.labels, embedding, self.by_class)
        strange = ordinal.strangeness if self.folds.in_order else multiclass.strangeness
        new = strange(self.folds(embedding))
        return multiclass.among(self.folds.score, self.folds.mass, self.labels, new, self.by_class)

    def members(self, p: Sequence[float]) -> list[int]:
        """The prediction set of a scan of these p-values; of classes in an order without gaps."""
        found = classes.members(p, self.level)
        return ordinal.run(found) if self.folds.in_order else found

    def fits(self, task: Task) -> bool:
        """Whether its heads have the outputs that a head of the task has."""
        several = (task.logits,) if task.several else ()
        ordered = task.kind == "ordinal"
        return self.folds.bias.shape[1:] == several and self.folds.in_order == ordered

    def to_dict(self) -> dict[str, Any]:
        """Plain data; what is absent is None."""
        tendency = self.tendency
        used: dict[str, Any] = {}
        if self.prevalence is not None:
            several = list(self.prevalence)
            used["prevalence"] = several if self.probabilities else several[1]
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
            prevalence=_stored_prevalence(prevalence),
            probabilities=_stored_probabilities(several) if several else None,
        )


def _stored_probabilities(data: Mapping[str, Any]) -> Softmax | Cumulative:
    return Cumulative.from_dict(data) if "thresholds" in data else Softmax.from_dict(data)


def _stored_prevalence(data: Any) -> tuple[float, ...] | None:
    """A list of several classes' shares, or that of the second of two."""
    if data is None or isinstance(data, list):
        return None if data is None else tuple(array(data).ravel().tolist())
    return 1.0 - number(data), number(data)


def used_at(
    trusts: Mapping[str, Trust], prevalence: Prevalence, tasks: Mapping[str, Task]
) -> dict[str, Trust]:
    """The same, for use where a task's classes have other shares than in its cohort.

    Args:
        trusts: of a bundle.
        prevalence: by the task's name.
        tasks: of the bundle.

    Raises:
        UsageError: for a share outside 0 to 1, shares that are not each class's and add up to 1, or
            a task without a calibrated probability.
    """
    found = dict(trusts)
    for name, share in prevalence.items():
        known = trusts.get(name)
        if known is None or not (known.probability or known.probabilities):
            raise UsageError(
                f"{name} has no calibrated probability that a prevalence could correct"
            )
        if not all(known.shares):
            raise UsageError(f"{name} was calibrated on nobody of one class: no prevalence helps")
        found[name] = replace(known, prevalence=_of_each(tasks[name], share))
    return found


def _of_each(task: Task, share: float | Mapping[str, float]) -> tuple[float, ...]:
    """The share of each class, in their order."""
    names = [name.lower() for name in task.classes or ()]
    if isinstance(share, Mapping):
        told = {name.lower(): one for name, one in share.items()}
    else:
        told = dict(zip(names, (1.0 - share, share), strict=False))
    for one in share.values() if isinstance(share, Mapping) else [share]:  # as it was said
        if not 0.0 < one < 1.0:
            raise UsageError(f"the prevalence of {task.name} is {one:g}; it lies between 0 and 1")
    if sorted(told) != sorted(names) or abs(sum(told.values()) - 1.0) > _ROUNDED:
        example = ",".join(f"{name}:{1 / len(names):.2f}" for name in task.classes or ())
        raise UsageError(
            f"the prevalence of {task.name} needs a share of each class, which add up to 1: "
            f"{task.name}={example}"
        )
    return tuple(told[name] / sum(told.values()) for name in names)


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
    for task, trust in found.items():
        features = bundle.manifest.encoder_of(task).features
        if trust.folds.features != features:
            raise BundleError(
                f"{path} calibrates {task} for {trust.folds.features} features, and the "
                f"encoder below it has {features}; export the bundle again"
            )
        known = bundle.tasks.get(task)
        if known and not trust.fits(known):
            raise BundleError(
                f"{path} calibrates {task} for other classes than it has; export the bundle again"
            )
    return found
