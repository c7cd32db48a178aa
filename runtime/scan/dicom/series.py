"""Series: what the headers of one series say, and its frames; grouped from files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fmtool.errors import FmtoolError, InputError
from runtime.scan.dicom import about as abouts
from runtime.scan.dicom import frame, values
from runtime.scan.dicom.about import About, about
from runtime.scan.dicom.found import DAMAGED, TOO_LARGE, Found
from runtime.scan.dicom.frame import Frame
from runtime.scan.dicom.limits import MAX_FRAMES, Deadline
from runtime.scan.dicom.parse import Dataset, ExcessError, header
from runtime.scan.header import MAX_AXIS, MAX_VOXELS, times

_DICOMDIR = "1.2.840.10008.1.3.10"
IS_INDEX = "DICOMDIR"
IS_COPY = "copies"

KEYWORDS = (
    *frame.KEYWORDS,
    *abouts.KEYWORDS,
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
    """One series.

    Attributes:
        uid: SeriesInstanceUID; compared, never shown.
        number: SeriesNumber.
        modality: such as "MR".
        study: its study's identifier, hashed.
        patient: its patient's identifier, hashed.
        about: what the first of its files says.
        frames: of all its files, in no order.
    """

    uid: str
    number: int | None
    modality: str
    study: str
    patient: str
    about: About
    frames: list[Frame] = field(default_factory=list)

    @property
    def id(self) -> str:
        """A short name that says nothing of the UID."""
        return values.hashed(self.uid)

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
        return f"{self.name} (id {self.id}, {self.modality}, {size})"


def grouped(found: Found, deadline: Deadline) -> list[Series]:
    """The series of the files found, in the order of their numbers; no pixels are read.

    Raises:
        InputError: if there are more slices than are looked at, or the time is up.
    """
    held: dict[str, Series] = {}
    seen: set[tuple[Any, ...]] = set()
    total = 0
    for number, item in enumerate(found.items):
        deadline.check()
        try:
            data = header(item, KEYWORDS, deadline)
            kind = values.text(data.file_meta, "MediaStorageSOPClassUID")
            uid = values.text(data, "SeriesInstanceUID")
            parts = [] if kind == _DICOMDIR else _frames(data, number)
        except FmtoolError:
            raise
        except ExcessError:
            found.left_out[TOO_LARGE] += 1
            continue
        except Exception:  # pydicom raises nearly every kind; such a file is counted and told of
            found.left_out[DAMAGED] += 1
            continue
        instance = (values.text(data, "SOPInstanceUID"), *(p.position for p in parts))
        if kind == _DICOMDIR:
            found.left_out[IS_INDEX] += 1
        elif not uid:
            found.left_out[DAMAGED] += 1
        elif instance[0] and instance in seen:
            found.left_out[IS_COPY] += 1
        else:
            seen.add(instance)
            total += len(parts)
            if total > MAX_FRAMES:
                raise InputError(
                    f"{deadline.source} holds more than {MAX_FRAMES} slices; name the folder of "
                    "one series"
                )
            if uid not in held:
                held[uid] = _series(data, uid)
            held[uid].frames.extend(parts)
    return sorted(held.values(), key=lambda s: (s.number is None, s.number or 0, s.id))


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


def _series(data: Dataset, uid: str) -> Series:
    modality = values.text(data, "Modality")
    return Series(
        uid,
        values.whole(data, "SeriesNumber"),
        modality if modality.isalnum() and len(modality) <= 16 else "unknown modality",
        values.hashed(values.text(data, "StudyInstanceUID")),
        values.hashed(values.text(data, "PatientID")),
        about(data),
    )
