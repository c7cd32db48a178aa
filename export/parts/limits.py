"""The card's words on intervals, prediction sets, calibration and novelty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fmtool.bundle.manifest import TaskEntry
from fmtool.task import Task

BREAKS = (
    "Intervals, prediction sets and p-values hold for new subjects drawn as the calibration "
    "cohort's were, on average over them, not for each kind of subject. Another scanner, sequence, "
    "age range, disease, skull strip or version of the preprocessing breaks that, and so does "
    "choosing what to scan or to report by the answer. The novelty check sees some of it, not all."
)
"""What breaks exchangeability."""


def limits(entry: TaskEntry) -> str:
    """What a result says of one task beside its value.

    Args:
        entry: of the manifest's tasks.
    """
    task, trust = entry.task, entry.evidence.get("trust")
    if trust is None:
        return "Its results have no interval and no calibration."
    said = [_set(task, trust) if task.kind == "binary" else _interval(task, trust)]
    if trust["novelty"] is None:
        said.append("No novelty check: the subjects are too few.")
    else:
        said.append(
            "Each scan's embedding is compared with the calibration cohort's (Mahalanobis distance,"
            f" conformal p-value, at least {trust['novelty']:.2g}); no subject's embedding is kept."
        )
    return " ".join(said)


def _interval(task: Task, trust: Mapping[str, Any]) -> str:
    if trust["width"] is None:
        return f"No interval: {trust['subjects']} calibration subjects are too few."
    scaled = ", scaled by the error expected of each scan" if trust["normalised"] else ""
    said = (
        f"{_level(trust)} intervals by {trust['method']} on {trust['subjects']} subjects{scaled}, "
        f"{trust['width']:.3g} {task.unit} wide (median); {_proven(trust)}."
    )
    if trust["slope"] is None:
        return f"{said} Its values follow the truth too little to correct regression to the mean."
    return (
        f"{said} Values regress to the mean (slope {trust['slope']:.2f}): the corrected value "
        "divides by that, is right on average at every truth, and scatters more; the interval "
        "belongs to the value itself."
    )


def _set(task: Task, trust: Mapping[str, Any]) -> str:
    if "probability" not in trust:
        return "No calibrated probability: the calibration subjects are of one class."
    first, second = task.classes or ("", "")
    among = f"within {first} and within {second}" if trust["by_class"] else "over both classes"
    loss = trust["log_loss"]
    figure = "" if loss is None else f" (cross-validated log loss {loss:.3f})"
    return (
        f"Probabilities calibrated by {_NAMES[trust['probability']]}{figure}. {_level(trust)} "
        f"prediction sets by {trust['method']} on {trust['subjects']} subjects, {among}; "
        f"{100 * trust['one_class']:.0f} % of the cohort's name one class; {_proven(trust)}."
    )


_NAMES = {"platt": "Platt's sigmoid", "isotonic": "an isotonic line"}


def _level(trust: Mapping[str, Any]) -> str:
    return f"{100 * trust['level']:.0f} %"


def _proven(trust: Mapping[str, Any]) -> str:
    if trust["guarantee"] >= trust["level"]:
        return f"coverage of {_level(trust)} is proven"
    return (
        f"proven for at least {100 * trust['guarantee']:.0f} % of exchangeable subjects, "
        f"found near {_level(trust)} in practice"
    )
