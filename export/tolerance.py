"""How far a task's output may be off: in a gate, in the self-test, and by int8; no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fmtool.task import Task

SELF_TEST = {"float32": 1e-4, "bfloat16": 1e-2, "float16": 5e-3, "int8": 5e-2}
"""Largest relative difference of the embedding on any machine, by what its engine computes in."""

LOGIT_SPAN = 20.0
"""A logit's, from one certainty to the other; 5e-3 of it moves p by at most 0.025."""

ERROR_SHARE = 0.1
"""Of a regression's own cross-validated error: what int8 may shift it by."""

LOGIT_SHIFT = 0.2
"""What int8 may shift a logit or a score by: of a binary or an ordinal task at most 0.05 of
probability, of several 0.1."""


def limit(task: Task, value: float, tolerance: float, evidence: Mapping[str, Any]) -> float:
    """The absolute error allowed of a task's output, in its unit (or logit).

    `tolerance` is a fraction of the valid range (0.6 years of age for 5e-3), of `LOGIT_SPAN` for
    a task of classes, and where a regression states no range of the value itself, or of the range
    of the labels that it was judged by: a gap near zero is a difference of large numbers.
    """
    if task.kind != "regression":
        return tolerance * LOGIT_SPAN
    if task.valid_range is None:
        low, high = evidence.get("label_range") or (0.0, 0.0)
        return tolerance * max(1.0, abs(value), high - low)
    return tolerance * (task.valid_range[1] - task.valid_range[0])


def int8_shift(task: Task, evidence: Mapping[str, Any]) -> float | None:
    """The largest shift by int8, in the task's unit; None of a regression of unknown error."""
    if task.kind != "regression":
        return LOGIT_SHIFT
    known = evidence.get("metric") == "MAE" and "value" in evidence
    return ERROR_SHARE * float(evidence["value"]) if known else None


def of_self_test(task: Task, value: float, evidence: Mapping[str, Any]) -> dict[str, float]:
    """The largest error on the template, by what the engine computes in.

    Args:
        task: the head's.
        value: its output there; of classes any.
        evidence: how well it did.
    """
    found = {name: limit(task, value, share, evidence) for name, share in SELF_TEST.items()}
    shift = int8_shift(task, evidence)
    if shift is not None:  # what is not quantised may run in bfloat16, with its own tolerance
        found["int8"] = max(shift, found["bfloat16"])
    return found
