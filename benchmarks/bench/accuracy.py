"""How far an engine's outputs are from float32's on the same volumes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fmtool.task import Task
from runtime.engines.base import Arrays


def compare(got: Arrays, reference: Arrays, tasks: Iterable[Task]) -> dict[str, float]:
    """The worst over the volumes; infinite where an output is not a finite number.

    Args:
        got: outputs by name, [N, F] or [N, 1].
        reference: the same in float32.
        tasks: the bundle's.

    Returns:
        "embedding_error": ||a - b|| / ||b||; "TASK_shift": |a - b| in the task's unit, or in
        logits; "TASK_probability_shift" of a binary task. A task that `got` lacks is left out.
    """
    a, b = got["embedding"].astype(np.float64), reference["embedding"].astype(np.float64)
    distance = np.linalg.norm(a - b, axis=1) / np.linalg.norm(b, axis=1)
    errors = {"embedding_error": _worst(distance)}
    for task in tasks:
        if task.name not in got:
            continue
        a, b = (each[task.name].astype(np.float64) for each in (got, reference))
        errors[f"{task.name}_shift"] = _worst(np.abs(a - b))
        if task.kind == "binary":
            errors[f"{task.name}_probability_shift"] = _worst(np.abs(_sigmoid(a) - _sigmoid(b)))
    return errors


def _sigmoid(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logit)))


def _worst(values: NDArray[np.float64]) -> float:
    return float(values.max()) if np.isfinite(values).all() else float("inf")
