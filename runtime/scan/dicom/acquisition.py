"""One acquisition that was cut into two series or more: neither is the whole of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from fmtool.errors import InputError
from runtime.scan.dicom.frame import MR
from runtime.scan.dicom.geometry import stack
from runtime.scan.dicom.series import Series
from runtime.scan.header import MIN_AXIS

_MOST = 32  # series of one kind that are compared


def tell(held: Sequence[Series]) -> None:
    """Note in each series that is a part of an acquisition where the rest of it is.

    Series are parts of one if their parameters are the same and their slices make one stack.
    """
    alike: dict[object, list[Series]] = {}
    for series in held:
        about = series.about
        if series.frames and about.sop_class in MR:
            times = (about.echo, about.inversion, about.repetition, about.flip)
            what = (about.image_type, about.sequence, about.names, series.frames[0].shape)
            alike.setdefault((series.study, times, what), []).append(series)
    for found in alike.values():
        some = found[:_MOST]
        for group in (some, *combinations(some, 2)):
            if len({series.uid for series in group}) == len(group) > 1 and _one_stack(group):
                for series in group:
                    rest = ", ".join(str(other) for other in group if other is not series)
                    series.shared = (
                        f"it is a part of an acquisition whose rest is {rest}; have them sent as "
                        "one series"
                    )


def _one_stack(group: Sequence[Series]) -> bool:
    frames = [frame for series in group for frame in series.frames]
    if len(frames) < MIN_AXIS:
        return False
    try:
        stack("", frames)
    except InputError:
        return False
    return True
