"""The voxels of one volume, decoded slice by slice into place and scaled."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import CapabilityError, FmtoolError, InputError
from runtime.scan.dicom import bits, parse, values
from runtime.scan.dicom.codestream import check_claims
from runtime.scan.dicom.found import Item
from runtime.scan.dicom.frame import Frame
from runtime.scan.dicom.library import INSTALL, pydicom
from runtime.scan.dicom.limits import MAX_HEADER_BYTES, Deadline
from runtime.scan.dicom.parse import Dataset

KEYWORDS = (
    *bits.KEYWORDS,
    "BitsAllocated",
    "Columns",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "PixelData",
    "PixelRepresentation",
    "PlanarConfiguration",
    "Rows",
    "SamplesPerPixel",
)
_Decoded: TypeAlias = tuple[NDArray[Any], NDArray[np.bool_] | None, Frame, str]
_SAMPLE_BYTES = 4  # at most, of one voxel as stored
_UNDEFINED = 0xFFFFFFFF  # the length of compressed pixels
_BLOCK = 16  # slices
_BESIDES = 1 << 26  # bytes of a file that may be neither header nor pixels


def fill(
    name: str,
    volume: NDArray[np.float32],
    frames: Sequence[Frame],
    items: Sequence[Item],
    deadline: Deadline,
) -> str:
    """Decode `frames` into `volume` (columns, rows, slices), values as rescaled.

    What the header says is no voxel becomes background.

    Returns:
        The stored number type, such as "int16".

    Raises:
        InputError: if the pixels are damaged, cut off, or not those of the header.
        CapabilityError: if no plugin for their compression is installed.
    """
    kinds: set[str] = set()
    columns, rows, count = volume.shape
    block = np.empty((min(_BLOCK, count), rows, columns), dtype=np.float32)
    padded: NDArray[np.bool_] | None = None
    decoded = enumerate(_slices(name, frames, items, deadline), 1)
    for done, (stored, empty, frame, kind) in decoded:
        kinds.add(kind)
        if empty is not None:
            padded = np.zeros(volume.shape, dtype=np.bool_) if padded is None else padded
            padded[:, :, done - 1] = empty.T
        place = block[(done - 1) % _BLOCK]
        place[...] = stored
        if frame.slope != 1.0:
            place *= np.float32(frame.slope)
        if frame.intercept != 0.0:
            place += np.float32(frame.intercept)
        if done % _BLOCK == 0 or done == count:  # one pass over the volume's memory for many
            first = (done - 1) // _BLOCK * _BLOCK
            volume[:, :, first:done] = block[: done - first].transpose(2, 1, 0)
    if padded is not None:
        bits.background(volume, padded)
    return " and ".join(sorted(kinds))


def _slices(
    name: str, frames: Sequence[Frame], items: Sequence[Item], deadline: Deadline
) -> Iterator[_Decoded]:
    """The stored voxels (rows, columns) of each frame, in their order."""
    done = 0
    for number, group in itertools.groupby(frames, key=lambda frame: frame.item):
        wanted = list(group)
        try:
            for decoded in _decoded(name, items[number], wanted, deadline):
                yield decoded
                done += 1
        except FmtoolError:
            raise
        except Exception as error:  # pydicom and its plugins raise nearly every kind
            raise InputError(
                f"{name} is damaged: slice {done + 1} of {len(frames)} cannot be decoded "
                f"({type(error).__name__}); send it again"
            ) from None


def _decoded(
    name: str, item: Item, wanted: Sequence[Frame], deadline: Deadline
) -> Iterator[_Decoded]:
    rows, columns = wanted[0].shape
    most = rows * columns * (max(frame.index for frame in wanted) + 1) * _SAMPLE_BYTES
    if item.size > 2 * most + MAX_HEADER_BYTES + _BESIDES:
        raise InputError(f"{name} has a file of {item.size} bytes, far more than its voxels take")
    data = parse.whole(item, KEYWORDS, most + MAX_HEADER_BYTES)
    syntax = str(data.file_meta.TransferSyntaxUID)
    decoder = _decoder(name, syntax)
    _check(name, data, (rows, columns))
    uid = pydicom().uid
    encapsulated = uid.UID(syntax).is_compressed and "PixelData" in data
    stored = bits.bits(data)
    aligned = encapsulated and syntax != uid.RLELossless
    if not aligned:  # what pydicom would cut is ours to cut
        data.BitsStored, data.HighBit = stored.allocated, stored.allocated - 1
    for frame in wanted:
        deadline.check()
        if encapsulated and check_claims(name, data, frame.index, syntax):
            data.PixelRepresentation = 1  # as it was encoded, whatever the header says
        array, _ = decoder.as_array(data, index=frame.index, raw=True)
        if array.shape != (rows, columns):
            raise InputError(f"{name} is damaged: a slice decodes to {array.shape}")
        found, padded = stored.values(array, aligned)
        yield _upright(data, stored, found), padded, frame, array.dtype.name


def _check(name: str, data: Dataset, shape: tuple[int, int]) -> None:
    """The header once more, from this reading of the file."""
    if (values.whole(data, "Rows"), values.whole(data, "Columns")) != shape:
        raise InputError(f"{name} changed while it was read; try again")
    photometric = values.text(data, "PhotometricInterpretation").upper()
    if values.whole(data, "SamplesPerPixel") != 1 or not photometric.startswith("MONOCHROME"):
        raise InputError(f"{name} holds colour images; expected one grey value per voxel")
    if values.whole(data, "BitsAllocated") not in (8, 16, 32):
        raise InputError(
            f"{name} stores voxels of {values.text(data, 'BitsAllocated') or 'no'} bits; expected "
            "8, 16 or 32"
        )
    if "PixelData" not in data:
        raise InputError(f"{name} has a slice without pixels; send it again")
    raw = data.get_item("PixelData")
    if raw.length not in (_UNDEFINED, len(raw.value or b"")):
        raise InputError(
            f"{name} is cut off: a slice promises {raw.length} bytes of voxels, "
            f"{len(raw.value or b'')} are there; send it again"
        )


def _upright(data: Dataset, stored: bits.Bits, array: NDArray[Any]) -> NDArray[Any]:
    """Larger is brighter: MONOCHROME1 stores the opposite."""
    if values.text(data, "PhotometricInterpretation").upper() != "MONOCHROME1":
        return array
    largest = (1 << stored.stored) - 1
    return (largest if data.PixelRepresentation == 0 else -1) - array.astype(np.int64)


def _decoder(name: str, syntax: str) -> Any:
    try:
        decoder = pydicom().pixels.get_decoder(syntax)
    except NotImplementedError:
        raise InputError(
            f"{name} is compressed in a way that is not read (transfer syntax {syntax}); export it "
            "uncompressed"
        ) from None
    if not decoder.is_available:
        needed = "; or ".join(decoder.missing_dependencies)
        raise CapabilityError(
            f"{name} is compressed ({decoder.UID.name}) and no plugin to decode it is installed "
            f"({needed}); install one with {INSTALL}"
        )
    return decoder
