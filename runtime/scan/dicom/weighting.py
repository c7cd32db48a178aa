"""What a series shows, by its parameters first and its names second: T1-weighted or not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from runtime.scan.dicom.about import About

Weighting = Literal["T1", "unknown", "other"]

_T1_NAME = re.compile(
    r"t1|mp-?2?rage|mp2rage|bravo|f?spgr|tfl3d|(?:^|[^a-z])(?:3d[ _-]?)?tfe(?:$|[^a-z])|vibe"
)
_OTHER_NAME = re.compile(
    r"t2|flair|dark.?fluid|dwi|dti|diff|adc|trace|(?:^|[^a-z])swi|swan|tof|mra(?:$|[^a-z])|angio|"
    r"bold|fmri|(?:^|[^a-z])epi?2d|(?:^|[^a-z])epi(?:$|[^a-z])|(?:^|[^a-z])asl|perf|"
    r"(?:^|[^a-z])pd(?:$|[^a-z])|field.?map|b[01].?map|phase|qsm|spectro|(?:^|[^a-z])inv[ _-]?[12]"
)
_LONGEST_T1_ECHO = 30.0
_SHORT_ECHO = 15.0
_T1_INVERSION = (300.0, 1500.0)
_SPOILED_REPETITION = 60.0
_SPIN_ECHO_REPETITION = 1200.0
_CONTRASTS = {"T1": "T1", "": "unknown", "UNKNOWN": "unknown", "MIXED": "unknown"}


@dataclass(frozen=True)
class Shown:
    """What was concluded, and from what, in words that quote no description."""

    weighting: Weighting
    why: str


def shown(about: About) -> Shown:
    """Classify; times in ms.

    "other" needs evidence against T1: a long echo, an echo-planar readout, a long repetition
    without inversion, or another weighting's name without T1's.
    """
    against = _against(about)
    if against:
        return Shown("other", against)
    for_it = _for(about)
    if for_it:
        return Shown("T1", for_it)
    return Shown("unknown", "its header does not say how it is weighted")


def _against(about: About) -> str | None:
    echo, repetition = about.echo, about.repetition
    if about.contrast and about.contrast not in _CONTRASTS:
        return "another contrast than T1 is named in its header"
    if echo is not None and echo > _LONGEST_T1_ECHO:
        return f"an echo time of {echo:g} ms is too long for T1 weighting"
    if "EP" in about.sequence:
        return "it is echo-planar"
    if (
        "SE" in about.sequence
        and "IR" not in about.sequence
        and repetition is not None
        and repetition > _SPIN_ECHO_REPETITION
        and about.inversion is None
    ):
        return f"a spin echo's repetition time of {repetition:g} ms is too long for T1 weighting"
    if _OTHER_NAME.search(about.names) and not _T1_NAME.search(about.names):
        return "its name is that of another contrast"
    return None


def _for(about: About) -> str | None:
    echo, repetition, inversion = about.echo, about.repetition, about.inversion
    if about.contrast == "T1":
        return "its header says so"
    low, high = _T1_INVERSION
    if echo is not None and echo <= _LONGEST_T1_ECHO:
        if inversion is not None and low <= inversion <= high:
            return f"an inversion time of {inversion:g} ms"
        if (
            "SE" in about.sequence
            and repetition is not None
            and repetition <= _SPIN_ECHO_REPETITION
        ):
            return f"a spin echo's repetition time of {repetition:g} ms"
        if (
            "GR" in about.sequence
            and echo <= _SHORT_ECHO
            and repetition is not None
            and repetition <= _SPOILED_REPETITION
        ):
            return f"a gradient echo's repetition time of {repetition:g} ms"
    return "its name" if _T1_NAME.search(about.names) else None
