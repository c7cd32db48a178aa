"""A result's numbers in words: one wording for the table, the page and whoever reads them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from fmtool.bundle import sites
from fmtool.bundle.rivals import rivals, unbeaten
from fmtool.task import SEVERAL

Value = Mapping[str, Any]
"""One entry of `Result.to_dict()["values"]`."""


def number(value: Any, unit: str = "") -> str:
    """A number with the digits that mean something; "n/a" for one that is missing or not finite."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "n/a"
    size = abs(value)
    digits = 0 if size >= 100 or value == int(value) else 1 if size >= 10 else 2
    return f"{value:,.{digits}f} {unit}".strip()


def answer(value: Value) -> tuple[str, str]:
    """The value large ("34.2", "M") and its unit or probability ("years", "probability 0.97")."""
    if value["kind"] in SEVERAL:
        return str(value["class"]), f"probability {value['probabilities'][value['class']]:.2f}"
    if value["kind"] == "binary":
        first, second = value["classes"]
        sure = chance(value) if value["class"] == second else 1.0 - chance(value)
        return str(value["class"] or f"{first}/{second}"), f"probability {sure:.2f}"
    return f"{value['value']:.1f}", str(value["unit"])


def chance(value: Value) -> float:
    """The probability of a binary task's second class: the calibrated one where there is one."""
    calibrated = value.get("probability")
    return float(value["value"] if calibrated is None else calibrated)


def interval(value: Value) -> str | None:
    """The scan's own limits: "90 %: 25.1 to 43.0", "90 %: F or M"; None without calibration."""
    if value["kind"] != "regression":
        members, level = value.get("prediction_set"), value.get("prediction_set_level")
        if members is None or level is None:
            return None
        return f"{100 * level:.0f} %: {' or '.join(members)}"
    found = value.get("interval")
    if found is None:
        return None
    return f"{100 * found['level']:.0f} %: {found['low']:.1f} to {found['high']:.1f}"


def prevalence(value: Value) -> str | None:
    """How common the classes are taken to be, in one sentence; None without calibration."""
    if shares := value.get("shares"):
        told = [f"{100 * share:.0f} % {name}" for name, share in shares.items()]
        return f"The probabilities hold where the scans are {', '.join(told)}."
    share = value.get("prevalence")
    if share is None:
        return None
    return (
        f"The probability holds where {100 * share:.0f} % of the scans are {value['classes'][1]}."
    )


def margin(value: Value) -> str | None:
    """The error that the head made in its cohort: "± 7.2 years" or "AUC 0.92"; None if unknown."""
    evidence = value["evidence"]
    error = evidence.get("value")
    if error is None:
        return None
    if value["kind"] != "regression":
        return f"{evidence.get('metric', 'AUC')} {number(error)}"
    return f"± {number(error, str(value['unit']))}"


def evidence(value: Value) -> str | None:
    """The cohort's evidence in one sentence; None if there is none."""
    facts = value["evidence"]
    if facts.get("value") is None:
        return None
    unit = str(facts.get("unit") or "")
    unit = unit if value["kind"] == "regression" else ""
    said = f"{facts.get('metric', 'Error')} {number(facts['value'], unit)}"
    if facts.get("interval"):
        low, high = facts["interval"]
        said += f" (95 % interval {number(low)} to {number(high)})"
    sample = f" on {facts['sample']}" if facts.get("sample") else ""
    how = str(facts.get("how") or "cross-validated")
    return f"{how[:1].upper()}{how[1:]}{sample}: {said}."


def baseline(value: Value) -> str | None:
    """What the head is measured against, in a sentence each; None where that is unknown."""
    facts = value["evidence"]
    if facts.get("baseline") is None:
        return None
    unit = str(facts.get("unit") or "") if value["kind"] == "regression" else ""
    name = str(facts.get("baseline_name") or "the baseline")
    known = [(name, facts["baseline"]), *((r.name, r.value) for r in rivals(facts))]
    return " ".join(
        f"{name[:1].upper()}{name[1:]} "
        + ("was not measured." if reached is None else f"reaches {number(reached, unit)}.")
        for name, reached in known
    )


def against_baseline(value: Value) -> tuple[bool, str] | None:
    """Whether the head beats its baseline, and the sentence; None where that is unknown."""
    beats = value["evidence"].get("beats_baseline")
    if beats is None:
        return None
    name = value["evidence"].get("baseline_name") or "no name"
    if beats:
        weak = [f"{rival.verdict} than {rival.name}" for rival in unbeaten(value["evidence"])]
        but = f", but {' and '.join(weak)}" if weak else ""
        return True, f"Better than its baseline ({name}){but}."
    return False, f"No better than its baseline ({name}): a demonstration, not information."


def of_sites(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """For which site's scans each harmonised head of some results is, a line each."""
    said: dict[str, None] = {}
    for result in results:
        for name, value in result.get("values", {}).items():
            told = sites.harmonised(value["evidence"])
            if told is not None:
                said[f"{name}: {told[:1].lower()}{told[1:]}"] = None
    return list(said)


def worst(result: Mapping[str, Any]) -> str:
    """The gravest verdict of a result's checks: "ok", "warn" or "refuse"."""
    verdicts = {check["verdict"] for check in result.get("quality", [])}
    return next((v for v in ("refuse", "warn") if v in verdicts), "ok")
