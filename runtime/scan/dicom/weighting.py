"""What an image shows, by its parameters first and its names second: T1-weighted or not."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from runtime.scan.dicom.about import About
from runtime.scan.dicom.image_type import DENOISED, UNIFORM, kind

Weighting = Literal["T1", "unknown", "other"]

_NEVER = (  # whatever else the same name says
    ("a map of T1", r"(?<![a-z])(?:q[ _-]?)?[tr]1[ _-]?(?:map|(?:images|fit)(?![a-z])|quant|karte)|"
     r"(?<![a-z])(?:qt1|t1q(?![a-z])|t1[ _-]?rho|t1[ _]*[(\[] *ms)|"
     r"(?:map|mapping|carte|quantitative)[ _-]?[tr]1(?![a-z])"),
    ("an inversion image of an MP2RAGE", r"(?<![a-z])inv(?:ersion)?[ _-]*[12](?!\d)|"
     r"(?:1st|2nd|first|second)[ _-]*inv|mp2rage.*(?<![a-z])ti[ _-]?[12](?!\d)"),
    ("a map of a field", r"(?<![a-z])b[01][ _+-]*map|field[ _-]?map|tfl[ _-]*b1|sa2rage|bloch|"
     r"(?<![a-z])b1(?![a-z0-9]|[ _-]*(?:corr|norm))|(?<![a-z])(?:afi|dream)(?![a-z])"),
    ("a balanced steady state", r"ciss|fiesta|true?[ _-]?fisp|trufi|\*?tfi[23]d|b[ _-]?ssfp|"
     r"(?<![a-z])b(?:al)?[ _-]?(?:ffe|tfe)|balanced|(?<![a-z])(?:dess|psif)(?![a-z])"),
    ("of nulled white matter", r"fgatir|(?:wm|white[ _-]?matter)[ _-]?null|(?<![a-z])wmn(?![a-z])"),
    ("an opposed-phase image", r"opp(?:osed)?(?![a-z])|opp?(?:osed)?[ _-]?ph|"
     r"out[ _-]?(?:of[ _-]?)?ph|(?:dixon|flex|ideal).*(?<![a-z])(?:op|out)(?![a-z])"),
    ("an image of fat", r"^fat ?:|fat[ _-]only|"
     r"(?:dixon|flex|ideal).*(?<![a-z])f(?:at)?(?![a-z]|[ _-]*s)"),
)  # fmt: skip
_NEVER_NAMED = tuple((name, re.compile(pattern)) for name, pattern in _NEVER)
_T1_NAME = re.compile(
    r"t1|mp-?2?rage|bravo|f?spgr|tfl3d|(?:^|[^a-z])(?:3d[ _-]?)?tfe(?:$|[^a-z])|vibe"
)
_OTHER_NAME = re.compile(
    r"t2|flair|dark.?fluid|dwi|dti|diff|adc|trace|(?:^|[^a-z])swi|swan|tof|mra(?:$|[^a-z])|angio|"
    r"bold|fmri|(?:^|[^a-z])epi?2d|(?:^|[^a-z])epi(?:$|[^a-z])|(?:^|[^a-z])asl|perf|proton|"
    r"(?:^|[^a-z])(?:pd|mt)w?(?:$|[^a-z])|phase|qsm|spectro|stir|(?:^|[^a-z])dir(?:$|[^a-z])"
)
_UNIFORM_NAME = re.compile(r"(?<![a-z])uni(?:t1|[ _-]*im(?:g|age)|[ _-]*den|form[ _-]*im)")
_UNIFORM_OF_MP2RAGE = re.compile(r"(?<![a-z])uni(?:form)?(?![a-z])")
_DENOISED_NAME = re.compile(r"uni[ _-]*den|denois|robust")
_LONGEST_T1_ECHO = 30.0
_SHORT_ECHO = 15.0
_T1_INVERSION = (300.0, 1500.0)
_LONGEST_T1_INVERSION = 1800.0
_SPOILED_REPETITION = 60.0
_SPIN_ECHO_REPETITION = 1200.0
_T1_OF_BRAIN = 1000.0
_SMALL_FLIP = 0.75  # of the Ernst angle, at which spoiled echoes of equal T1 are the brightest
_CONTRASTS = ("T1", "", "UNKNOWN", "MIXED")


@dataclass(frozen=True)
class Shown:
    """What was concluded, and from what, in words that quote no description."""

    weighting: Weighting
    why: str


def shown(about: About) -> Shown:
    """Classify; times in ms.

    "other" needs evidence against T1: a long echo or inversion, an echo-planar readout, a long
    repetition without inversion, a small flip angle, or another contrast's name. Of several names
    the first that says anything decides, the series' own before its protocol's.
    """
    against = _against(about)
    if against:
        return Shown("other", against)
    for_it = _for(about)
    if for_it:
        return Shown("T1", for_it)
    return Shown("unknown", "its header does not say how it is weighted")


def uniform(about: About) -> bool:
    """Whether it is the uniform image of an MP2RAGE, whose background is noise or was cleaned."""
    return _any(about, UNIFORM, _UNIFORM_NAME) or (
        _mp2rage(about) and any(map(_UNIFORM_OF_MP2RAGE.search, about.names))
    )


def denoised(about: About) -> bool:
    """Whether that background was cleaned."""
    return _any(about, DENOISED, _DENOISED_NAME)


def _mp2rage(about: About) -> bool:
    return any("mp2rage" in name for name in about.names)


def _any(about: About, words: Iterable[str], name: re.Pattern[str]) -> bool:
    return not set(words).isdisjoint(about.image_type) or any(map(name.search, about.names))


def _named(about: About) -> tuple[Weighting, str]:
    """What the first name says that says anything."""
    for name in about.names:
        for what, pattern in _NEVER_NAMED:
            if pattern.search(name):
                return "other", f"its name is that of {what}"
        if _T1_NAME.search(name):
            return "T1", "its name"
        if _OTHER_NAME.search(name):
            return "other", "its name is that of another contrast"
    return "unknown", ""


def _against(about: About) -> str | None:
    echo, repetition = about.echo, about.repetition
    weighting, why = _named(about)
    if of_type := kind(about.image_type):
        return f"it is {of_type}"
    if about.contrast not in _CONTRASTS:
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
    if weighting == "other":
        return why
    if uniform(about):
        return None
    if _mp2rage(about) and "ORIGINAL" in about.image_type:
        return "it is an inversion image of an MP2RAGE"
    if about.inversion is not None and about.inversion > _LONGEST_T1_INVERSION:
        return f"an inversion time of {about.inversion:g} ms is too long for T1 weighting"
    named = weighting == "T1" or about.contrast == "T1"
    if not named and not about.inversion and _fast(about):
        if "SS" in about.variant and not about.variant & {"SP", "MP"}:
            return "it is a steady state without spoiling"
        if _flat(about):
            return f"a flip angle of {about.flip:g} degrees is too small for T1 weighting"
    return None


def _for(about: About) -> str | None:
    echo, repetition, inversion = about.echo, about.repetition, about.inversion
    if uniform(about):
        return "an MP2RAGE's uniform image"
    if _mp2rage(about):
        return None  # which of its images, is not said
    if about.contrast == "T1":
        return "its header's own word"
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
        if _fast(about) and not _flat(about):
            return f"a gradient echo's repetition time of {repetition:g} ms"
    return "its name" if _named(about)[0] == "T1" else None


def _fast(about: About) -> bool:
    """Whether it is a gradient echo of short times."""
    return (
        "GR" in about.sequence
        and about.echo is not None
        and about.echo <= _SHORT_ECHO
        and about.repetition is not None
        and about.repetition <= _SPOILED_REPETITION
    )


def _flat(about: About) -> bool:
    """Whether a spoiled echo's flip angle is too small for T1 to matter."""
    if about.flip is None or about.repetition is None:
        return False
    ernst = math.degrees(math.acos(math.exp(-max(about.repetition, 0.0) / _T1_OF_BRAIN)))
    return about.flip < _SMALL_FLIP * ernst
