"""Messages as DICOM files: what a console would store of what came back.

One MR image for each slice, with the geometry, the names, the comments and the windows that the
attributes tell. Pages on a grid of their own (Keep_image_geometry 0) are turned as consoles turn
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import InputError
from runtime.documents.uid import derived
from runtime.scan.dicom.library import pydicom
from runtime.service.mrd import images, wire
from runtime.service.mrd.images import ImagePlace, StreamImage
from runtime.service.mrd.meta import first
from runtime.service.mrd.wire import MrdMessage, Tag

_MR = "1.2.840.10008.5.1.4.1.1.4"
_LITTLE = "1.2.840.10008.1.2.1"


def write(messages: Sequence[MrdMessage], folder: Path, study: str) -> list[Path]:
    """The images of messages as DICOM files, a folder for each series.

    Args:
        messages: others than images are left out.
        folder: made if it is absent.
        study: words that name the study; the same give the same UIDs.

    Raises:
        InputError: if an image has no place, or a file cannot be written.
        CapabilityError: if pydicom is not installed.
    """
    pydicom()
    came = [images.taken_apart(wire.image(m)) for m in messages if m.kind == Tag.IMAGE]
    found = []
    for number, one in enumerate(came):
        place = images.place(one, corner=False)
        if place is None:
            raise InputError("an image came back without a place; see the server's log")
        series = int(one.head["image_series_index"])
        for index, (data, position) in enumerate(_slices(one, place)):
            file = folder / f"series-{series}" / f"{number:04d}-{index:04d}.dcm"
            made = _document(one, data, position, study, index)
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                made.save_as(file, enforce_file_format=True)
            except OSError as error:
                raise InputError(
                    f"cannot write {file} ({error.strerror}); name another folder"
                ) from None
            found.append(file)
    return found


def _slices(one: StreamImage, place: ImagePlace) -> list[tuple[NDArray[Any], ImagePlace]]:
    """Each slice with its place; turned by 180 degrees where consoles turn it, world and all."""
    data = one.image.data[0]
    if data.dtype.kind == "c":
        data = np.abs(data)
    if first(one.meta, "Keep_image_geometry") == "0":
        _, rows, columns = data.shape
        far = place.row * place.spacing[1] * (columns - 1)
        far = far + place.column * place.spacing[0] * (rows - 1)
        place = replace(place, first=place.first + far, row=-place.row, column=-place.column)
        data = data[:, ::-1, ::-1]
    steps = [replace(place, first=place.first + n * place.step) for n in range(len(data))]
    return list(zip(data, steps, strict=True))


def _document(
    one: StreamImage, data: NDArray[Any], place: ImagePlace, study: str, index: int
) -> Any:
    """One slice as an MR image."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID

    meta, mini, head = one.meta, one.mini, one.head
    series, number = int(head["image_series_index"]), int(head["image_index"])
    told = first(meta, "SeriesInstanceUID") or first(mini, "SeriesInstanceUID")
    series_uid = told or derived("rehearsal series", study, str(series))
    own = first(meta, "SOPInstanceUID") or first(mini, "SOPInstanceUID")
    depth = one.image.data.shape[1]
    unique = own if own and depth == 1 else derived(study, series_uid, own, str(number), str(index))
    stored, slope, intercept = _stored(data)
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(_LITTLE)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = UID(_MR)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = UID(unique)
    made.StudyInstanceUID, made.SeriesInstanceUID = derived("rehearsal study", study), series_uid
    made.FrameOfReferenceUID = first(meta, "FrameOfReference") or derived("rehearsal frame")
    made.Modality, made.PatientID, made.PatientName = "MR", "", ""
    made.SeriesNumber, made.InstanceNumber = series, number + index
    made.SeriesDescription = one.name[:64]
    made.ImageType = ["DERIVED" if "fmtool" in meta else "ORIGINAL", "PRIMARY", *one.tokens]
    comment = first(meta, "ImageComment", "ImageComments")
    if comment:
        made.ImageComments = comment[:10240]
    for keyword, name in (("EchoTime", "TE"), ("RepetitionTime", "TR"), ("InversionTime", "TI")):
        value = one.number(keyword, name)
        if value is not None:
            setattr(made, keyword, f"{value:.10g}")
    sequence = first(mini, "SequenceString")
    if sequence:
        made.SequenceName = sequence[:16]
    made.Rows, made.Columns = stored.shape
    made.ImagePositionPatient = [f"{c:.10g}" for c in place.first]
    made.ImageOrientationPatient = [f"{c:.10g}" for c in (*place.row, *place.column)]
    made.PixelSpacing = [f"{c:.10g}" for c in place.spacing]
    made.SliceThickness = f"{float(head['field_of_view'][2]) / depth:.10g}"
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 16, 15
    made.PixelRepresentation = int(stored.dtype.kind == "i")
    given = float(first(meta, "RescaleIntercept") or 0.0)
    made.RescaleSlope = f"{slope * float(first(meta, 'RescaleSlope') or 1.0):.10g}"
    made.RescaleIntercept = f"{intercept + given:.10g}"
    if first(meta, "WindowCenter"):
        made.WindowCenter = first(meta, "WindowCenter")
        made.WindowWidth = first(meta, "WindowWidth")
    made.PixelData = stored.tobytes()
    return made


def _stored(data: NDArray[Any]) -> tuple[NDArray[Any], float, float]:
    """Sixteen bits, and the slope and the intercept that give the values back."""
    if data.dtype.kind in "iu" and data.dtype.itemsize <= 2:
        return np.ascontiguousarray(data), 1.0, 0.0
    low, high = float(data.min()), float(data.max())
    slope = (high - low) / 65535.0 or 1.0
    return np.rint((data - low) / slope).astype(np.uint16), slope, low
