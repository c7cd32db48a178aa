"""What is watched: each head's output in its unit, and its cross-validated error beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmtool.bundle import Bundle
from runtime import trust
from runtime.engines.base import Arrays
from runtime.trust import classes


@dataclass(frozen=True)
class Output:
    """One task.

    Attributes:
        task: its name.
        unit: of what is watched: the task's, or "probability" of a binary task's second class.
        error: how far the head was off in cross-validation, in that unit: a regression's mean
            absolute error; of a binary task the mean distance of the calibrated out-of-fold
            probability from 0 or 1. None where the bundle does not hold it.
        calibrator: from a binary task's logit to the probability; None of a regression.
    """

    task: str
    unit: str
    error: float | None
    calibrator: classes.Calibrator | None = None

    def value(self, found: Arrays) -> float:
        """What a network's outputs say."""
        raw = float(found[self.task][0, 0])
        return raw if self.calibrator is None else self.calibrator(raw)


def of(bundle: Bundle) -> list[Output]:
    """The outputs of a bundle."""
    known = trust.read(bundle)
    found = []
    for name, task in bundle.tasks.items():
        if task.kind == "binary":
            found.append(_binary(name, known.get(name)))
        else:
            evidence = bundle.evidence(name)
            error = evidence.get("value") if evidence.get("metric") == "MAE" else None
            found.append(Output(name, str(task.unit), error))
    return found


def _binary(name: str, known: trust.Trust | None) -> Output:
    probability = known.probability if known else None
    if known is None or probability is None or known.labels is None:
        return Output(name, "probability", None, probability or classes.Platt(1.0, 0.0))
    chances = np.array([probability(logit) for logit in known.folds.score])
    error = np.average(np.abs(chances - known.labels), weights=known.folds.mass)
    return Output(name, "probability", float(error), probability)


def distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Between two embeddings."""
    return float(np.linalg.norm(one.astype(np.float64) - other))
