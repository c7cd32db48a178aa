"""The volumes of one series: what differs in kind, or lies otherwise, is never one volume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from fmtool.errors import InputError
from fmtool.errors.advice import option
from runtime.scan.dicom.frame import KINDS, Frame
from runtime.scan.dicom.geometry import ORIENTATION_TOLERANCE, SPACING_TOLERANCE_MM, stack
from runtime.scan.dicom.image_type import MAGNITUDE, UNIFORM, kind, plain
from runtime.scan.dicom.order import same
from runtime.scan.dicom.series import Series
from runtime.scan.header import MIN_AXIS

_Key: TypeAlias = tuple[str, ...]  # a word for each of KINDS, then which way the slices lie
_MOST_WAYS = 64
_ON_LINE = 0.1  # of the slice distance
_ASIDE_MM = 10.0  # farther from the others' line, a slice is no damaged one of theirs


def apart(series: Series) -> list[Series]:
    """A series' volumes, each a series of its own, if one of them at least is whole.

    A volume is whole if its slices make a stack in whose line no other slice of the series lies,
    but at their own places. What is too little for a volume (a scout, a few stray slices) is left
    out with a remark. A series in which nothing is whole stays as it is, to be refused for what it
    mixes.
    """
    groups = _groups(series.frames)
    enough = {key: frames for key, frames in groups.items() if len(frames) >= MIN_AXIS}
    few = len(groups) > 1 and len(enough) <= _MOST_WAYS
    whole = {key for key in enough if few and _whole(key, groups)}
    if not whole:
        return [series]
    remarks, stray = list(series.remarks), sum(map(len, groups.values()))
    stray -= sum(map(len, enough.values()))
    if stray:
        remarks.append(
            f"{stray} slices that are none of its volume's, as of a scout, were left out"
        )
    called = _called(sorted(enough))
    found = [
        replace(
            series,
            frames=frames,
            part=called[key],
            lacks=series.lacks or "" if key in whole else "slices of its are of another kind",
            remarks=remarks,
        )
        for key, frames in sorted(enough.items())
    ]
    for one in found[: len(found) * (len(found) > 1)]:
        others = ", ".join(f"{other.id} ({other.part})" for other in found if other is not one)
        advice = option("; --series and an id names another")
        said = f"of its {len(found)} volumes that of {one.part} was read, not {others}{advice}"
        one.remarks = [*remarks, said]
    return found


def _groups(frames: Sequence[Frame]) -> Mapping[_Key, list[Frame]]:
    told = [dict(frame.dimensions) for frame in frames]
    words = {name: same(t.get(name, "") for t in told) for name in KINDS}
    found: dict[_Key, list[Frame]] = {}
    for frame, t, way in zip(frames, told, _ways(frames), strict=True):
        key = (*(words[name][t.get(name, "")] for name in KINDS), way)
        found.setdefault(key, []).append(frame)
    return found


def _ways(frames: Sequence[Frame]) -> list[str]:
    """A word for each slice: one for all of a matrix, spacing and orientation about one line."""
    told = np.array(
        [
            [*f.shape, *(f.spacing or (0.0,) * 2), *(f.orientation or (0.0,) * 6), *_aside(f)]
            for f in frames
        ]
    ).reshape(-1, 12)
    tolerance = np.array(
        [0.5] * 2 + [SPACING_TOLERANCE_MM] * 2 + [ORIENTATION_TOLERANCE] * 6 + [_ASIDE_MM] * 2
    )
    ways = np.full(len(frames), _MOST_WAYS)
    for way in range(_MOST_WAYS):
        left = np.flatnonzero(ways == _MOST_WAYS)
        if not left.size:
            break
        ways[left[(np.abs(told[left] - told[left[0]]) <= tolerance).all(axis=1)]] = way
    return [f"{way:02d}" for way in ways]


def _aside(frame: Frame) -> tuple[float, float]:
    """Where a slice's first voxel lies along its own rows and columns, in mm."""
    if frame.position is None or frame.orientation is None:
        return 0.0, 0.0
    across, down = np.reshape(frame.orientation, (2, 3)) @ np.array(frame.position)
    return float(across), float(down)


def _whole(key: _Key, groups: Mapping[_Key, list[Frame]]) -> bool:
    try:
        ordered = stack("", groups[key]).frames
    except InputError:
        return False
    positions = np.array([frame.position for frame in ordered], dtype=np.float64)
    step = (positions[-1] - positions[0]) / (len(ordered) - 1)
    rest = [f.position for k, frames in groups.items() if k != key for f in frames if f.position]
    from_first = np.array(rest, dtype=np.float64).reshape(-1, 3) - positions[0]
    length = float(np.linalg.norm(step))
    number = from_first @ step / length**2
    beside = np.linalg.norm(from_first - number[:, None] * step, axis=1) / length
    nearest = np.clip(np.round(number), 0, len(ordered) - 1)
    return not ((beside <= _ON_LINE) & (np.abs(number - nearest) > _ON_LINE)).any()


def _called(keys: Sequence[_Key]) -> dict[_Key, str]:
    """Words that tell the volumes apart and quote no header; "" for one alone."""
    differing = [n for n in range(len(KINDS) + 1) if len({key[n] for key in keys}) > 1]
    return {
        key: ", ".join(_word(n, key[n], sorted({k[n] for k in keys})) for n in differing)
        for key in keys
    }


def _word(n: int, told: str, among: Iterable[str]) -> str:
    if n == len(KINDS):
        return f"stack {int(told) + 1}"
    name = KINDS[n]
    if name.endswith("times"):
        return f"{name[:-1]} {told or 'untold'} ms"
    labels = {word: _label(word) for word in among}
    number = "" if len(set(labels.values())) == len(labels) else f" {list(among).index(told) + 1}"
    return labels[told] + number


def _label(told: str) -> str:
    words = [plain(word) for word in told.split("\\")]
    if UNIFORM & set(words):
        return "uniform image"
    return kind(words) or ("magnitude" if MAGNITUDE & set(words) else "image type")
