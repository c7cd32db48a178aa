"""A stream's images to one scan, chosen among all that came as of DICOM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import InputError
from runtime.scan import Scan, checked
from runtime.scan.dicom.frame import Frame
from runtime.scan.dicom.geometry import Stack
from runtime.scan.dicom.limits import MAX_FRAMES
from runtime.scan.dicom.order import along
from runtime.scan.dicom.series import Series
from runtime.scan.dicom.volume import assembled
from runtime.service.mrd import images, wire
from runtime.service.mrd.header import StreamHeader
from runtime.service.mrd.header import read as read_header
from runtime.service.mrd.images import StreamImage
from runtime.service.mrd.wire import MrdMessage, Tag

NAME = "the scan"
_APART_MM = 0.01


@dataclass(frozen=True)
class StreamScan:
    """A scan, and what it was made of.

    Attributes:
        scan: the volume.
        stack: its slices, whose `item` is the number of an image.
        images: all that came, in order.
    """

    scan: Scan
    stack: Stack
    images: list[StreamImage]


def read(messages: Sequence[MrdMessage]) -> StreamScan:
    """The T1-weighted head of a stream.

    Raises:
        InputError: if none is in it, or it is not whole, saying why.
    """
    headers = [wire.text_of(m) for m in messages if m.kind == Tag.HEADER]
    header = read_header(headers[0]) if headers else StreamHeader()
    came = [images.taken_apart(wire.image(m)) for m in messages if m.kind == Tag.IMAGE]
    if not came:
        raise InputError("no image came; send the images of one T1-weighted head")
    remarks = [header.remark, *(remark for one in came for remark in one.remarks)]
    held, told = _series(came, header)

    def fill(about: str, volume: NDArray[np.float32], frames: Sequence[Frame]) -> str:
        return _filled(about, volume, frames, came)

    made = assembled(NAME, held, fill, remarks=lambda: [*told, *_once(remarks)])
    scan = checked(Scan(made.array, made.affine, Path(NAME), None, made.facts))
    return StreamScan(scan, made.stack, came)


def _series(came: Sequence[StreamImage], header: StreamHeader) -> tuple[list[Series], list[str]]:
    """The images as series: one for what shares a key, unless places repeat within it."""
    groups: dict[tuple[Any, ...], dict[int, list[int]]] = {}
    for item, one in enumerate(came):
        parts = groups.setdefault(images.key(one), {})
        parts.setdefault(int(one.head["image_series_index"]), []).append(item)
    found, remarks = list[Series](), list[str]()
    for key, parts in groups.items():
        corner = _corner([came[i] for items in parts.values() for i in items])
        told = {i: images.about(came[i], header) for items in parts.values() for i in items}
        made = {
            n: [frame for i in items for frame in images.frames(came[i], i, told[i], corner)]
            for n, items in parts.items()
        }
        if sum(len(frames) for frames in made.values()) > MAX_FRAMES:
            raise InputError(f"the stream holds more than {MAX_FRAMES} slices")
        if len(made) > 1 and _one_acquisition(list(made.values())):
            made = {min(made): [frame for frames in made.values() for frame in frames]}
        for number, frames in made.items():
            abouts = {i: told[i] for i in {f.item for f in frames} or parts[number]}
            found.append(Series(f"{number}\0{key}", number, "MR", "", "", abouts, frames))
        if corner:
            remarks.append(
                "The images' positions were taken as those of their first voxels, as converters "
                "write them: nothing in them is a scanner's, and their middle lies nearer to the "
                "isocentre so."
            )
        places = (images.place(came[i], corner) for items in parts.values() for i in items)
        if any(place is not None and place.square for place in places):
            remarks.append(
                "The images' fields of view were taken the other way round, for their voxels are "
                "square so."
            )
    return sorted(found, key=lambda s: (s.number or 0, s.id)), _once(remarks)


def _corner(group: Sequence[StreamImage]) -> bool:
    """Whether positions are first voxels: what no scanner marked lies nearer the isocentre so."""
    if any(one.marked for one in group):
        return False
    middles = {}
    for corner in (False, True):
        places = [(images.place(one, corner), one.image.data.shape) for one in group]
        found = [
            p.first
            + p.row * p.spacing[1] * (shape[3] - 1) / 2
            + p.column * p.spacing[0] * (shape[2] - 1) / 2
            + p.step * (shape[1] - 1) / 2
            for p, shape in places
            if p is not None
        ]
        if not found:
            return False
        middles[corner] = float(np.linalg.norm(np.mean(found, axis=0)))
    return middles[True] < middles[False]


def _one_acquisition(parts: Sequence[list[Frame]]) -> bool:
    """Whether the series of one key are parts of one volume: no place is in two of them."""
    places = along([frame for frames in parts for frame in frames])
    return bool(places) and float(np.diff(np.sort(places)).min(initial=np.inf)) > _APART_MM


def _filled(
    about: str, volume: NDArray[np.float32], frames: Sequence[Frame], came: Sequence[StreamImage]
) -> str:
    """Put the slices' voxels into place; of complex ones their magnitude."""
    kinds = set()
    for number, frame in enumerate(frames):
        data = came[frame.item].image.data
        if data.shape[0] > 1:
            raise InputError(
                f"{about} has images of {data.shape[0]} channels; expected combined ones of one"
            )
        stored = data[0, frame.index]
        kinds.add(stored.dtype.name)
        volume[:, :, number] = (np.abs(stored) if stored.dtype.kind == "c" else stored).T
    return " and ".join(sorted(kinds))


def _once(sentences: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(filter(None, sentences)))
