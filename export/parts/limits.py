"""The card's words on intervals, prediction sets, calibration and novelty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fmtool.bundle.exposure import unseen
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
    of_kind = _interval if task.kind == "regression" else _set
    said = [of_kind(task, trust, proven(entry.evidence))]
    if trust["novelty"] is None:
        said.append("No novelty check: the subjects are too few.")
    else:
        said.append(
            "Each scan's embedding is compared with the calibration cohort's (Mahalanobis distance,"
            f" conformal p-value, at least {trust['novelty']:.2g}); no subject's embedding is kept."
        )
    return " ".join(said)


def _interval(task: Task, trust: Mapping[str, Any], how: str) -> str:
    if trust["width"] is None:
        return f"No interval: {trust['subjects']} calibration subjects are too few."
    scaled = ", scaled by the error expected of each scan" if trust["normalised"] else ""
    said = (
        f"{_level(trust)} intervals by {trust['method']} on {trust['subjects']} subjects{scaled}, "
        f"{trust['width']:.3g} {task.unit} wide (median); {how}."
    )
    if trust["slope"] is None:
        return f"{said} Its values follow the truth too little to correct regression to the mean."
    error = trust.get("corrected_mae")
    told = "" if error is None else f" (MAE {error:.3g} {task.unit}, out of fold)"
    return (
        f"{said} Values regress to the mean (slope {trust['slope']:.2f}): the corrected value"
        f"{told} divides by that, scatters more, and ends where the interval does, which is the "
        "value's own."
    )


def _set(task: Task, trust: Mapping[str, Any], how: str) -> str:
    if "probability" not in trust:
        return "No calibrated probability: the calibration subjects are of one class."
    names = task.classes or ()
    within = " and ".join(f"within {name}" for name in names)
    among = within if trust["by_class"] else f"over {'both' if len(names) == 2 else 'all'} classes"
    loss = trust["log_loss"]
    figure = "" if loss is None else f" (cross-validated log loss {loss:.3f})"
    said = (
        f"Probabilities calibrated by {_NAMES[trust['probability']]}{figure}. {_level(trust)} "
        f"prediction sets by {trust['method']} on {trust['subjects']} subjects, {among}; {how}."
    )
    if "shares" in trust:
        pairs = zip(trust["shares"], names, strict=True)
        cohort = ", ".join(f"{100 * share:.0f} % {name}" for share, name in pairs)
        return (
            f"{said} Out of fold, {100 * trust['one_class']:.0f} % of the sets name one class. The "
            f"probabilities hold where the scans are {cohort}, as here; for other shares say so "
            "(`--prevalence`)."
        )
    first, second = names
    if "prevalence" not in trust:  # of an earlier version, whose share of sets was of its own scans
        return said
    said += (
        f" Out of fold, {100 * trust['one_class']:.0f} % of the sets name one class. The "
        f"probabilities hold where {100 * trust['prevalence']:.0f} % are {second}, as here; for "
        "another share say so (`--prevalence`)."
    )
    if "sensitivity" in trust:
        sides = (("sensitivity", second), ("specificity", first))
        shares = [f"{side} ({name}) {_share(trust[side])}" for side, name in sides]
        said += f" At a probability of one half: {', '.join(shares)}, out of fold."
    return said


def _share(found: Mapping[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['value']:.2f} (95 % interval {low:.2f} to {high:.2f})"


_NAMES = {
    "platt": "Platt's sigmoid",
    "isotonic": "an isotonic line",
    "softmax": "a temperature and an offset a class",
    "cumulative": "thresholds on the score",
}


def _level(trust: Mapping[str, Any]) -> str:
    return f"{100 * trust['level']:.0f} %"


def proven(evidence: Mapping[str, Any]) -> str:
    """What coverage is sure of, in words: nothing of people whom the encoder had seen."""
    trust, seen = evidence["trust"], evidence.get("exposure")
    if seen and seen["images"]:
        return "no coverage is proven, since the encoder had seen some of them"
    if trust["guarantee"] >= trust["level"]:
        said = f"coverage of {_level(trust)} is proven for exchangeable subjects"
    else:
        said = (
            f"proven for at least {100 * trust['guarantee']:.0f} % of exchangeable subjects, found "
            f"near {_level(trust)} in practice"
        )
    return said if unseen(evidence) else f"{said}, if the encoder had seen none of them"
