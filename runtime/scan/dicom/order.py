"""The order of slices along their normal, and whether they make one volume or several."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from runtime.scan.dicom.frame import KINDS, Frame

_SAME_PLACE_MM = 0.01
_SAME_NUMBER = 1e-3 + 1e-9
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


def same(told: Iterable[str]) -> dict[str, str]:
    """One word for all that mean the same: numbers within 0.001, and none where there is one."""
    words = {text: text.upper() for text in told}
    values = {text: value for text in words if (value := number(text)) is not None}
    last = word = None
    for text, value in sorted(values.items(), key=lambda pair: pair[1]):
        if last is None or value - last > _SAME_NUMBER:
            word = f"{value:g}"
        words[text], last = word or "", value
    others = {word for text, word in words.items() if text}
    if "" in words and len(others) == 1:
        words[""] = others.pop()
    return words


def volumes(frames: Sequence[Frame]) -> str | None:
    """What the series holds several of, in words ("2 echo times (3, 6 ms)"), or None.

    What never differs within one volume counts wherever it differs, the rest only where a place
    repeats: an acquisition number or a stack may well change from slice to slice of one volume.
    """
    told = [dict(frame.dimensions) for frame in frames]
    repeated = repeats(frames) > 1
    for name in told[0] if told else ():
        found = sorted(set(same(t.get(name, "") for t in told).values()))
        if len(found) > 1 and (repeated or name in KINDS):
            return f"{len(found)} {name}{_listed(name, found)}"
    return None


def number(text: str) -> float | None:
    """A text's number, if it is one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _listed(name: str, found: Sequence[str]) -> str:
    """Numbers are named; words, which may be anyone's, are not."""
    numbers = [value for text in found if (value := number(text)) is not None]
    if len(numbers) < len(found):
        return ""
    unit = " ms" if name.endswith("times") else ""
    more = ", ..." if len(numbers) > _MOST_NAMED else ""
    return f" ({', '.join(f'{n:g}' for n in sorted(numbers)[:_MOST_NAMED])}{more}{unit})"
