"""Why a series is left alone, and why one suits better than another: each rule is a row.

A series is left alone for the first reason of `LEFT_ALONE` that it gives; `--series` takes it all
the same. Of the rest the better by the first rule of `BETTER` that tells them apart is taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from runtime.scan.dicom import agent
from runtime.scan.dicom.about import About
from runtime.scan.dicom.body import elsewhere
from runtime.scan.dicom.frame import MR
from runtime.scan.dicom.image_type import COMBINED, kind
from runtime.scan.dicom.order import along, volumes
from runtime.scan.dicom.series import Series
from runtime.scan.dicom.weighting import denoised, shown, uniform
from runtime.scan.header import MIN_AXIS

_LOCALIZER = re.compile(r"locali[sz]er|scout|survey|3[ _-]?plane|three[ _-]?plane|smartbrain")
_REFORMATS = {"MPR", "REFORMATTED", "RESAMPLED", "CPR", "CSA RESAMPLED", "PROCESSED"}
_RMS = re.compile(r"(?<![a-z])rms(?![a-z])|root[ _-]*mean|echo[a-z]*[ _-]*(?:mean|comb)|e1e2")
_WHOLE_HEAD_MM, _BRAIN_MM = 130.0, 100.0


@dataclass(frozen=True)
class Rule:
    """One reason to prefer a series.

    Attributes:
        value: of a series; the larger, the better.
        says: what a series is by it, in words; "" where that goes without saying.
    """

    value: Callable[[Series], float]
    says: Callable[[Series], str]


LEFT_ALONE: tuple[Callable[[Series], str | None], ...] = (
    lambda s: None if s.frames else "it holds no images",
    lambda s: None if s.modality == "MR" else f"it is {s.modality}",
    lambda s: None if s.about.sop_class in MR else "it is no MR image",
    lambda s: s.lacks or s.shared or None,
    lambda s: (found := volumes(s.frames)) and f"it holds {found}",
    lambda s: (found := kind(s.about.image_type)) and f"it is {found}",
    lambda s: "it is a localizer" if any(map(_LOCALIZER.search, s.about.names)) else None,
    lambda s: f"it has fewer than {MIN_AXIS} slices" if slices(s) < MIN_AXIS else None,
    lambda s: "it shows another part of the body than the head" if elsewhere(s.about) else None,
    lambda s: shown(s.about).why if shown(s.about).weighting == "other" else None,
)

BETTER: tuple[Rule, ...] = (
    Rule(
        lambda s: shown(s.about).weighting == "T1",
        lambda s: f"{'T1-weighted by ' * (shown(s.about).weighting == 'T1')}{shown(s.about).why}",
    ),
    Rule(
        lambda s: (least := min(extent(s))) >= _WHOLE_HEAD_MM or (least >= _BRAIN_MM) / 2,
        lambda s: f"{min(extent(s)):.0f} mm along its shortest side",
    ),
    Rule(lambda s: not noisy(s), lambda s: "with noise around the head" * noisy(s)),
    Rule(lambda s: not with_agent(s), lambda s: "with a contrast agent" * with_agent(s)),
    Rule(
        lambda s: s.about.acquisition == "3D",
        lambda s: f"{'' if s.about.acquisition == '3D' else 'not said to be '}acquired in 3D",
    ),
    Rule(lambda s: _combined(s.about), lambda s: "of several echoes in one" * _combined(s.about)),
    Rule(
        lambda s: _original(s.about),
        lambda s: _whence(s.about),
    ),
    Rule(
        lambda s: _straight(s.about),
        lambda s: f"corrected for distortion in {_straight(s.about)}D" * bool(_straight(s.about)),
    ),
    Rule(
        lambda s: -round(10 * max(voxel(s))),
        lambda s: f"voxels of up to {round(max(voxel(s)), 1):g} mm",
    ),
    Rule(lambda s: len(s.frames), lambda s: f"{len(s.frames)} slices"),
    Rule(
        lambda s: -round(1000 * (s.about.echo or 0.0)),
        lambda s: f"an echo time of {s.about.echo:g} ms" if s.about.echo is not None else "",
    ),
)


def unsuited(series: Series) -> str | None:
    """Why it is left alone unless it is asked for by name: "it is ..."; None if it is not."""
    return next((why for reason in LEFT_ALONE if (why := reason(series))), None)


def key(series: Series) -> tuple[float, ...]:
    """For sorting series that are not `unsuited`: the larger, the better."""
    return tuple(rule.value(series) for rule in BETTER)


def because(series: Series) -> str:
    """What the choice saw in it, in words."""
    return ", ".join(filter(None, (rule.says(series) for rule in BETTER)))


def less(series: Series, best: Series) -> str:
    """Why `best` was taken instead, by the first rule that tells them apart; "" if none does."""
    for rule in BETTER:
        if rule.value(series) < rule.value(best):
            said = rule.says(series)
            return said or f"it is not {rule.says(best)}"
    return ""


def with_agent(series: Series) -> bool:
    """Whether a contrast agent was given: its own name decides, then the fields, then others."""
    own, *others = (agent.named(name) for name in series.about.names or ("",))
    said = (own, series.about.agent, *others)
    return next((given for given in said if given is not None), False)


def noisy(series: Series) -> bool:
    """Whether its background is noise as bright as the head: a uniform image, not cleaned."""
    return uniform(series.about) and not denoised(series.about)


def slices(series: Series) -> int:
    """Their number, of images that pack several too."""
    return sum(frame.packed for frame in series.frames)


def voxel(series: Series) -> tuple[float, float, float]:
    """A voxel's sides between rows, between columns and between slices, in mm, as told."""
    between, within = series.frames[0].spacing or (0.0, 0.0)
    places = along(series.frames)
    step = (max(places) - min(places)) / (len(places) - 1) if len(places) > 1 else 0.0
    return between, within, step


def extent(series: Series) -> tuple[float, float, float]:
    """Along columns, rows and slices, in mm."""
    rows, columns = series.frames[0].shape
    between, within, step = voxel(series)
    return rows * between, columns * within, len(series.frames) * step


def _combined(about: About) -> bool:
    return not COMBINED.isdisjoint(about.image_type) or any(map(_RMS.search, about.names))


def _original(about: About) -> bool:
    """Neither reformatted nor derived; from several echoes, or by straightening, is original."""
    words = set(about.image_type)
    derived = "DERIVED" in words and not _straight(about) and not _combined(about)
    return not derived and words.isdisjoint(_REFORMATS)


def _whence(about: About) -> str:
    if not _original(about):
        return "derived or reformatted"
    return "original" if "ORIGINAL" in about.image_type else ""


def _straight(about: About) -> int:
    """Along how many axes the gradients' distortion was corrected."""
    return 3 if "DIS3D" in about.image_type else 2 if "DIS2D" in about.image_type else 0
