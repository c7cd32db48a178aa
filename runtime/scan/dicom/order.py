"""The order of slices along their normal, and whether they make one volume or several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from runtime.scan.dicom.frame import Frame

_SAME_PLACE_MM = 0.01
_MOST_NAMED = 6


def along(frames: Sequence[Frame]) -> list[float]:
    """Each slice's position on the normal of the first in mm; empty if one has no place."""
    first = frames[0].orientation if frames else None
    if first is None or any(frame.position is None for frame in frames):
        return []
    normal = np.cross(first[:3], first[3:])
    positions = np.array([frame.position for frame in frames], dtype=np.float64)
    return [float(place) for place in positions @ normal]


def repeats(frames: Sequence[Frame]) -> int:
    """The largest number of slices at one place and in one orientation."""
    places = along(frames)
    if not places:
        return 1
    count = Counter(
        (round(place / _SAME_PLACE_MM), tuple(round(c, 3) for c in frame.orientation or ()))
        for place, frame in zip(places, frames, strict=True)
    )
    return max(count.values())


def volumes(frames: Sequence[Frame]) -> str | None:
    """What the series holds several of, in words ("2 echo times (3, 6)"), or None.

    Stacks and echo times count wherever they differ, the rest only where a place repeats: an
    image type or an acquisition number may well change from slice to slice of one volume.
    """
    told = [dict(frame.dimensions) for frame in frames]
    repeated = repeats(frames) > 1
    for name in told[0] if told else ():
        found = sorted({t.get(name, "") for t in told})
        if len(found) > 1 and (repeated or name in ("stacks", "echo times")):
            return f"{len(found)} {name}{_listed(name, found)}"
    return None


def _listed(name: str, found: Sequence[str]) -> str:
    """Numbers are named; words, which may be anyone's, are not."""
    try:
        numbers = sorted(float(text) for text in found)
    except ValueError:
        return ""
    unit = " ms" if name.endswith("times") else ""
    more = ", ..." if len(numbers) > _MOST_NAMED else ""
    return f" ({', '.join(f'{n:g}' for n in numbers[:_MOST_NAMED])}{more}{unit})"
