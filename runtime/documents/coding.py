"""What is measured and in which unit, as codes that DICOM and FHIR share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

SCHEME = "99FMTOOL"
"""The coding scheme of fmtool's own concepts; 99 marks it as private (PS3.16, 8)."""

UCUM = "UCUM"

NO_UNITS = "probability"
"""The task's unit of what has none."""


_UNITS = {  # those a task may have: UCUM code and its meaning
    "years": ("a", "year"),
    "months": ("mo", "month"),
    "days": ("d", "day"),
    "probability": ("1", "no units"),
    "mm": ("mm", "millimeter"),
    "mm3": ("mm3", "cubic millimeter"),
    "ml": ("mL", "milliliter"),
    "%": ("%", "percent"),
}


class Coded(NamedTuple):
    """A code, the scheme that it is of, and what it means (VRs SH, SH, LO)."""

    value: str
    scheme: str
    meaning: str


def concept(task: str, classes: Sequence[str] | None, ordered: bool = False) -> Coded:
    """What is measured, in fmtool's own coding scheme: its code is the task's name."""
    if classes is not None and len(classes) > 2:
        which = "median" if ordered else "likeliest"
        return _own(task, f"Probability of the {which} class ({task}), from brain MRI")
    what = f"Predicted {task}" if classes is None else f"Probability of {classes[1]} ({task})"
    return _own(task, f"{what}, from brain MRI")


def class_concept(task: str, name: str) -> Coded:
    """The probability of one of several classes."""
    return _own(f"{task} {name}", f"Probability of {name} ({task}), from brain MRI")


def map_concept(task: str, label: str | None = None) -> Coded:
    """What a map of a task shows, or of one of its classes."""
    if label is not None:
        return _own(f"map_{task} {label}", f"Contribution to {label} ({task}), less the template's")
    return _own(f"map_{task}", f"Contribution to {task}, less the template's")


def unit(name: str) -> Coded:
    """A task's unit as UCUM: a code of its own, or an annotation, such as {NIHSS_points}."""
    if name in _UNITS:
        code, meaning = _UNITS[name]
        return Coded(code, UCUM, meaning)
    plain = re.sub(r"[^!-z]", "_", name)[:14]  # the VR SH, less the braces
    return Coded(f"{{{plain}}}", UCUM, _meaning(name))


def _own(name: str, meaning: str) -> Coded:
    code = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    if len(code) > 16:  # the VR SH
        code = f"{code[:9]}_{sha256(name.encode()).hexdigest()[:6]}"
    return Coded(code, SCHEME, _meaning(meaning))


def _meaning(text: str) -> str:
    return text.replace("\\", "/")[:64]  # the VR LO
