"""Result: what one scan's prediction says, with its evidence, checks and provenance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool import NOTICE, __version__
from fmtool.task import Task
from runtime.attribution import Attribution
from runtime.preprocess.pipeline import Prepared
from runtime.quality import Check
from runtime.scan.dicom.geometry import Stack
from runtime.system.clock import stamp
from runtime.trust import ordinal
from runtime.trust.interval import Interval


@dataclass
class Prediction:
    """One task's answer.

    Attributes:
        task: the question.
        value: in the task's unit; the sigmoid of a binary task's logit, for `task.classes[1]`; of
            several classes the uncalibrated probability of `label`.
        evidence: how well the head did in cross-validation, and against which baseline.
        warnings: sentences a reader must see beside the value.
        interval: of a regression whose head is calibrated.
        corrected: a regression's value without its regression to the mean.
        probability: the calibrated probability of `task.classes[1]`.
        prevalence: the share of `task.classes[1]` among scans that the probability assumes.
        members: the prediction set: the classes that cannot be excluded at `level`.
        level: of `members`.
        novelty: p-value of the scan among the head's calibration cohort; small is unusual.
        probabilities: of several classes, by class: calibrated if the head is.
        shares: the share of each class among scans that calibrated `probabilities` assume.
        learnt_from: whether the head was fitted on this very scan, as far as its files tell.
        of_head: those of the warnings that hold of every scan.
        score: of an ordinal task, in log-odds: what its map adds up to.
    """

    task: Task
    value: float
    evidence: dict[str, Any]
    warnings: list[str]
    interval: Interval | None = None
    corrected: float | None = None
    probability: float | None = None
    prevalence: float | None = None
    members: list[str] | None = None
    level: float | None = None
    novelty: float | None = None
    probabilities: dict[str, float] | None = None
    shares: dict[str, float] | None = None
    learnt_from: bool = False
    of_head: list[str] = field(default_factory=list)
    score: float | None = None

    def say_of_head(self, sentence: str) -> None:
        """Warn of what holds of every scan."""
        self.warnings.append(sentence)
        self.of_head.append(sentence)

    @property
    def label(self) -> str | None:
        """The likeliest class, or of an ordinal task the median one; None for a regression.

        By calibrated probabilities if the head is.
        """
        if self.task.classes is None:
            return None
        if self.probabilities is not None and self.task.kind == "ordinal":
            return self.task.classes[ordinal.median_of(list(self.probabilities.values()))]
        if self.probabilities is not None:
            return max(self.probabilities, key=self.probabilities.__getitem__)
        chance = self.value if self.probability is None else self.probability
        return self.task.classes[int(chance >= 0.5)]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, CSV and the report."""
        return {
            "value": self.value,
            "unit": self.task.unit,
            "kind": self.task.kind,
            "class": self.label,
            "classes": list(self.task.classes) if self.task.classes else None,
            "interval": self.interval.to_dict() if self.interval else None,
            "corrected": self.corrected,
            "probability": self.probability,
            "prevalence": self.prevalence,
            "probabilities": self.probabilities,
            "score": self.score,
            "shares": self.shares,
            "prediction_set": self.members,
            "prediction_set_level": self.level,
            "novelty_p": self.novelty,
            "learnt_from": self.learnt_from,
            "evidence": self.evidence,
            "warnings": self.warnings,
            "of_head": self.of_head,
        }


@dataclass
class Result:
    """What came out of one scan.

    Attributes:
        scan: the scan's file name.
        predictions: by task name.
        embedding: float32 (features,); of several encoders, one after the other.
        quality: the checks of the input and of its preprocessing.
        prepared: the volume the network saw; not part of `to_dict`.
        timings: seconds per stage, "total" included.
        finished: when, by this machine's clock, with its offset from UTC.
        maps: where each answer comes from, by task; not part of `to_dict`.
        class_maps: of a multiclass task the map of each class, by task and class, of which that of
            the answer is in `maps`; not part of `to_dict`.
        stack: of DICOM, the slices that the scan was read from; not part of `to_dict`.
    """

    scan: str
    predictions: dict[str, Prediction]
    embedding: NDArray[np.float32]
    quality: list[Check]
    prepared: Prepared
    bundle: dict[str, Any]
    engine: str
    facts: dict[str, Any]
    timings: dict[str, float]
    warnings: list[str] = field(default_factory=list)
    finished: str = field(default_factory=stamp)
    maps: dict[str, Attribution] = field(default_factory=dict)
    stack: Stack | None = None
    class_maps: dict[str, dict[str, Attribution]] = field(default_factory=dict)

    def __getitem__(self, task: str) -> Prediction:
        """A task's answer.

        Raises:
            KeyError: for a task that was not answered, naming those that were.
        """
        if task not in self.predictions:
            raise KeyError(f"no answer for {task!r}; there is one for {', '.join(self)}")
        return self.predictions[task]

    def __iter__(self) -> Iterator[str]:
        """The names of the tasks that were answered."""
        return iter(self.predictions)

    @property
    def values(self) -> dict[str, float]:
        """Each task's value, in its unit."""
        return {name: p.value for name, p in self.predictions.items()}

    @property
    def novelty(self) -> float | None:
        """The smallest p-value of the scan among the heads' cohorts; None without calibration."""
        known = [p.novelty for p in self.predictions.values() if p.novelty is not None]
        return min(known, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; every result names its bundle, its limits and the notice."""
        return {
            "scan": self.scan,
            "values": {name: p.to_dict() for name, p in self.predictions.items()},
            "quality": [check.to_dict() for check in self.quality],
            "novelty_p": self.novelty,
            "warnings": self.warnings,
            "facts": self.facts,
            "timings": {k: round(v, 4) for k, v in self.timings.items()},
            "embedding": [float(str(x)) for x in self.embedding],  # the fewest digits that tell it
            "bundle": self.bundle,
            "engine": self.engine,
            "version": __version__,
            "finished": self.finished,
            "notice": NOTICE,
        }


@dataclass
class Failure:
    """A scan of a batch that could not be used, and the one sentence that says why."""

    scan: str
    reason: str
    finished: str = field(default_factory=stamp)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON and CSV."""
        return {
            "scan": self.scan,
            "error": self.reason,
            "version": __version__,
            "finished": self.finished,
            "notice": NOTICE,
        }
