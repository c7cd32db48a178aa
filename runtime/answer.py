"""A head's raw output as an answer: its unit, and what a reader must see beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fmtool.task import Task
from runtime.result import Prediction


def answer(task: Task, raw: float, evidence: dict[str, Any]) -> Prediction:
    """The prediction of one task.

    Args:
        task: the question.
        raw: the model's output: the value of a regression, the logit of a binary task.
        evidence: how well the head did; see `training.evidence`.
    """
    value = _sigmoid(raw) if task.kind == "binary" else raw
    warnings = []
    if task.valid_range is not None:
        low, high = task.valid_range
        if not low <= value <= high:
            warnings.append(
                f"{value:.1f} {task.unit} cannot be true ({low:g} to {high:g} can): discard it."
            )
    if evidence.get("beats_baseline") is False:
        warnings.append(
            f"This head did not beat its baseline ({evidence['baseline_name']}) in "
            "cross-validation: read the value as a demonstration, not as information."
        )
    volume = evidence.get("brain_volume")
    if volume and not volume["head_is_better"]:
        warnings.append(
            "This head is not shown to be better than brain volume alone "
            f"({evidence['metric']} {evidence['value']:.2f} against {volume['value']:.2f})."
        )
    return Prediction(task, value, evidence, warnings)


def _sigmoid(logit: float) -> float:
    return float(0.5 * (1.0 + np.tanh(0.5 * logit)))  # no overflow at either end
