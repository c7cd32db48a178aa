"""Series: the MR images of one series, or one volume's of them; grouped from files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fmtool.errors import FmtoolError, InputError
from runtime.scan.dicom import about as abouts
from runtime.scan.dicom import concatenation, frame, order, values
from runtime.scan.dicom.about import About, about
from runtime.scan.dicom.found import DAMAGED, TOO_LARGE, Found
from runtime.scan.dicom.frame import MR, Frame
from runtime.scan.dicom.image_type import plain
from runtime.scan.dicom.limits import MAX_FRAMES, Deadline
from runtime.scan.dicom.parse import Dataset, ExcessError, header
from runtime.scan.header import MAX_AXIS, MAX_VOXELS, times

_DICOMDIR = "1.2.840.10008.1.3.10"
IS_INDEX = "DICOMDIR"
IS_COPY = "copies"

KEYWORDS = (
    *frame.KEYWORDS,
    *abouts.KEYWORDS,
    *concatenation.KEYWORDS,
    "Columns",
    "Modality",
    "PatientID",
    "Rows",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "StudyInstanceUID",
)


@dataclass
class Series:
    """One series, or one of the volumes that it holds.

    Attributes:
        uid: SeriesInstanceUID; compared, never shown.
        number: SeriesNumber.
        modality: such as "MR".
        study: its study's identifier, hashed.
        patient: its patient's identifier, hashed; "" if there is none.
        abouts: what each of its images says, by the number of its file.
        frames: of all its images, in no order.
        part: what tells it from the series' other volumes, in words; "" if it is the only one.
        lacks: why it cannot be a whole volume, in words; "" if nothing says so.
        shared: why it is not all of its acquisition, in words; "" if nothing says so.
        remarks: sentences about what was left out of it.
    """

    uid: str
    number: int | None
    modality: str
    study: str
    patient: str
    abouts: dict[int, About]
    frames: list[Frame] = field(default_factory=list)
    part: str = ""
    lacks: str = ""
    shared: str = ""
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.about = _of_all(self.abouts, self.frames)

    @property
    def id(self) -> str:
        """A short name that says nothing of the UID."""
        return values.hashed(f"{self.uid}\0{self.part}" if self.part else self.uid)

    @property
    def name(self) -> str:
        """How it is called to people: "series 401"."""
        return f"series {self.id if self.number is None else self.number}"

    @property
    def matrix(self) -> list[int]:
        """Columns, rows, frames; empty for a series of no images."""
        if not self.frames:
            return []
        rows, columns = self.frames[0].shape
        return [columns, rows, sum(f.packed for f in self.frames)]

    def __str__(self) -> str:
        size = times(self.matrix) if self.matrix else "no images"
        part = f", {self.part}" if self.part else ""
        return f"{self.name} (id {self.id}, {self.modality}, {size}{part})"


@dataclass(frozen=True)
class _Object:
    """One file of a series."""

    item: int
    uid: str
    number: int | None
    modality: str
    study: str
    patient: str
    about: About
    frames: list[Frame]
    concatenation: concatenation.Part | None

    @property
    def is_mr(self) -> bool:
        return bool(self.frames) and self.about.sop_class in MR


def grouped(found: Found, deadline: Deadline) -> list[Series]:
    """The series of the files found, in the order of their numbers; no pixels are read.

    Raises:
        InputError: if there are more slices than are looked at, or the time is up.
    """
    held: dict[tuple[str, ...], list[_Object]] = {}
    seen: set[tuple[Any, ...]] = set()
    total = 0
    for number, item in enumerate(found.items):
        deadline.check()
        try:
            data = header(item, KEYWORDS, deadline)
            kind = values.text(data.file_meta, "MediaStorageSOPClassUID")
            known = kind == _DICOMDIR or any(
                values.text(data, word)
                for word in ("SeriesInstanceUID", "StudyInstanceUID", "Rows")
            )
            made = _object(data, number) if known else None
        except FmtoolError:
            raise
        except ExcessError:
            found.left_out[TOO_LARGE] += 1
            continue
        except Exception:  # pydicom raises nearly every kind; such a file is counted and told of
            found.left_out[DAMAGED] += 1
            continue
        if kind == _DICOMDIR:
            found.left_out[IS_INDEX] += 1
        elif made is None:
            found.left_out[DAMAGED] += 1
        else:
            key = _key(data, made)
            instance = (*key, made.uid, *(p.position for p in made.frames))
            if made.uid and instance in seen:
                found.left_out[IS_COPY] += 1
                continue
            seen.add(instance)
            total += len(made.frames)
            if total > MAX_FRAMES:
                raise InputError(
                    f"{deadline.source} holds more than {MAX_FRAMES} slices; name the folder of "
                    "one series"
                )
            held.setdefault(key, []).append(made)
    every = [_series(uid, objects) for (uid, *_), objects in held.items()]
    return sorted(every, key=lambda s: (s.number is None, s.number or 0, s.id))


def _key(data: Dataset, made: _Object) -> tuple[str, ...]:
    """What the files of one series share; without its UID, its study, number and description."""
    uid = values.text(data, "SeriesInstanceUID")
    return (uid or f"{made.study}\0{made.number}\0{made.about.names[:1]}", made.study)


def _object(data: Dataset, item: int) -> _Object:
    told = about(data)
    modality = values.text(data, "Modality") or "MR" * (told.sop_class in MR)
    return _Object(
        item,
        values.text(data, "SOPInstanceUID"),
        values.whole(data, "SeriesNumber"),
        modality if modality.isalnum() and len(modality) <= 16 else "unknown modality",
        values.hashed(values.text(data, "StudyInstanceUID")),
        values.hashed(patient) if (patient := values.text(data, "PatientID")) else "",
        told,
        _frames(data, item),
        concatenation.part(data),
    )


def _frames(data: Dataset, item: int) -> list[Frame]:
    rows, columns = values.whole(data, "Rows"), values.whole(data, "Columns")
    if rows is None or columns is None:
        return []  # a report, a presentation state
    count = values.whole(data, "NumberOfFrames") or 1
    if min(rows, columns, count) < 1:
        raise ValueError("impossible size")
    if max(rows, columns) > MAX_AXIS or rows * columns * count > MAX_VOXELS:
        raise ExcessError
    return list(frame.frames(data, item, (rows, columns), count))


def _series(uid: str, objects: Sequence[_Object]) -> Series:
    """Of the MR images alone where there are any, whichever file comes first."""
    ordered = sorted(objects, key=lambda o: (not o.frames, o.uid, o.item))
    images = [o for o in ordered if o.is_mr] or ordered
    first = images[0]
    others = sum(bool(o.frames) for o in ordered if o not in images)
    patients = {o.patient for o in images} - {""}
    lacking = concatenation.lacking([o.concatenation for o in images if o.concatenation])
    if len(patients) > 1:
        lacking = f"its images are of {len(patients)} patients"
    series = Series(
        uid,
        first.number,
        first.modality,
        first.study,
        min(patients, default=""),
        {o.item: o.about for o in images},
        [f for o in sorted(images, key=lambda o: o.item) for f in o.frames],
        lacks=lacking,
    )
    if others:
        series.remarks.append(f"{others} of its objects that are no MR images were left out")
    return series


def _of_all(held: dict[int, About], frames: Sequence[Frame]) -> About:
    """What the lowest slice says, with what any of them says of an agent and of the time."""
    if not frames:
        return next(iter(held.values()))
    least = min(f.position or () for f in frames)
    first = min(
        (f for f in frames if (f.position or ()) == least), key=lambda f: repr(f.dimensions)
    )
    lowest = [held[f.item] for f in frames if (f.position or ()) == least]
    every = [held[item] for item in {f.item for f in frames}]
    told = dict(first.dimensions)
    agents = {a.agent for a in every}
    times = [a.acquired for a in every if a.acquired]
    chosen = min(lowest, key=repr)
    return replace(
        chosen,
        image_type=tuple(plain(word) for word in told["image types"].split("\\") if word)
        + tuple(told["complex parts"].split()),
        echo=order.number(told["echo times"]) or chosen.echo,
        inversion=order.number(told["inversion times"]) or chosen.inversion,
        agent=True if True in agents else False if False in agents else None,
        acquired=min(times, default=None),
    )
