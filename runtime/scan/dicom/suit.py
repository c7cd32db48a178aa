"""Whether a series can be a T1-weighted head at all, and how well it suits if it can."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runtime.scan.dicom.frame import ENHANCED
from runtime.scan.dicom.order import along, volumes
from runtime.scan.dicom.series import Series
from runtime.scan.dicom.weighting import Shown, shown
from runtime.scan.header import MIN_AXIS

_MR_CLASSES = ("1.2.840.10008.5.1.4.1.1.4", *ENHANCED)
_LOCALIZER = re.compile(r"locali[sz]er|scout|survey|3[ _-]?plane|three[ _-]?plane|smartbrain")
_KINDS = {
    "LOCALIZER": "a localizer",
    "MIP": "a projection",
    "MIN IP": "a projection",
    "MAXIMUM INTENSITY PROJECTION": "a projection",
    "PROJECTION IMAGE": "a projection",
    "CSA MPR THICK": "a reformat",
    "MOSAIC": "a mosaic",
    "P": "a phase map",
    "PHASE": "a phase map",
    "PHASE MAP": "a phase map",
    "VELOCITY MAP": "a phase map",
    "R": "the real part of an image",
    "REAL": "the real part of an image",
    "I": "the imaginary part of an image",
    "IMAGINARY": "the imaginary part of an image",
    "T1 MAP": "a map of T1",
    "T2 MAP": "a map of T2",
    "ADC": "a diffusion map",
    "FA": "a diffusion map",
    "SUB": "a subtraction",
    "SUBTRACTION": "a subtraction",
}
_REFORMATS = {"MPR", "REFORMATTED", "RESAMPLED", "CPR", "CSA RESAMPLED", "PROCESSED"}
_WITH_AGENT = re.compile(
    r"\+ ?c(?:$|[^a-z])|(?:^|[^a-z])(?:gd|km|ce)(?:$|[^a-z])|gado|post(?!er)|contrast"
)
_WITHOUT_AGENT = re.compile(r"(?:^|[^a-z])(?:no|non|without|w/?o|pre)(?:$|[^a-z])")
_WHOLE_HEAD_MM = 100.0


@dataclass(frozen=True)
class Suit:
    """How well a series suits; the larger, the better, field by field in this order.

    Attributes:
        t1: 2 if it is known to be T1-weighted, 1 if nothing is known.
        no_agent: no contrast agent is named.
        volume_acquired: MRAcquisitionType is 3D.
        original: neither derived nor reformatted.
        covers: 100 mm or more along each axis.
        fineness: the negative of the longest side of a voxel, in tenths of a mm.
        slices: their number.
    """

    t1: int
    no_agent: bool
    volume_acquired: bool
    original: bool
    covers: bool
    fineness: int
    slices: int

    def key(self) -> tuple[int, ...]:
        """For sorting."""
        return (
            self.t1,
            self.no_agent,
            self.volume_acquired,
            self.original,
            self.covers,
            self.fineness,
            self.slices,
        )


def unsuited(series: Series) -> str | None:
    """Why it is left alone unless it is asked for by name: "it is ..."; None if it is not."""
    about = series.about
    if not series.frames:
        return "it holds no images"
    if series.modality != "MR" or about.sop_class not in _MR_CLASSES:
        return "it is no MR image" if series.modality == "MR" else f"it is {series.modality}"
    for word in about.image_type:
        if word in _KINDS:
            return f"it is {_KINDS[word]}"
    if _LOCALIZER.search(about.names):
        return "it is a localizer"
    if sum(frame.packed for frame in series.frames) < MIN_AXIS:
        return f"it has fewer than {MIN_AXIS} slices"
    several = volumes(series.frames)
    if several:
        return f"it holds {several}"
    found = shown(about)
    return found.why if found.weighting == "other" else None


def suit(series: Series) -> Suit:
    """How well a series suits that is not `unsuited`."""
    about = series.about
    sides, extent = _size(series)
    return Suit(
        2 if shown(about).weighting == "T1" else 1,
        not with_agent(series),
        about.acquisition == "3D",
        not ({"DERIVED", *_REFORMATS} & set(about.image_type)),
        min(extent) >= _WHOLE_HEAD_MM,
        -round(10 * max(sides)),
        len(series.frames),
    )


def with_agent(series: Series) -> bool:
    """Whether a contrast agent is named, in a field of its own or in a description."""
    names = series.about.names
    named = bool(_WITH_AGENT.search(names)) and not _WITHOUT_AGENT.search(names)
    return series.about.agent or named


def because(series: Series) -> str:
    """What the choice saw in it, in words."""
    about, fit = series.about, suit(series)
    found: Shown = shown(about)
    said = [f"T1-weighted by {found.why}" if found.weighting == "T1" else found.why]
    said += ["acquired in 3D"] if fit.volume_acquired else []
    said += ["original" if fit.original else "derived or reformatted"]
    said += [] if fit.no_agent else ["with a contrast agent"]
    said += [f"{fit.slices} slices", f"voxels of up to {-fit.fineness / 10:g} mm"]
    return ", ".join(said)


def _size(series: Series) -> tuple[list[float], list[float]]:
    """The voxel's sides and the extent along rows, columns and slices, in mm, as they are told."""
    first = series.frames[0]
    rows, columns = first.shape
    between, within = first.spacing or (0.0, 0.0)
    step = slice_step(series)
    return [between, within, step], [rows * between, columns * within, len(series.frames) * step]


def slice_step(series: Series) -> float:
    """The mean distance of two slices in mm; 0 if their places are unknown."""
    places = along(series.frames)
    return (max(places) - min(places)) / (len(places) - 1) if len(places) > 1 else 0.0
