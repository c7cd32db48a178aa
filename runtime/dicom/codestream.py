"""What a compressed slice claims of itself, compared with its header before it is decoded.

A decoder allocates what the codestream says, not what the header says.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fmtool.errors import CapabilityError, InputError
from runtime.dicom import values
from runtime.dicom.library import INSTALL
from runtime.dicom.parse import Dataset

_BESIDES = 1 << 16  # bytes that a slice's headers and segments may add


def check_claims(name: str, data: Dataset, index: int, syntax: str) -> None:
    """Refuse a slice that is another size inside than outside.

    Raises:
        InputError: then.
        CapabilityError: if the plugin that reads such a codestream is not installed.
    """
    from pydicom import encaps, uid

    count = values.whole(data, "NumberOfFrames") or 1
    encoded = encaps.get_frame(
        data.PixelData,
        index,
        number_of_frames=count,
        extended_offsets=_offsets(data),
    )
    rows, columns = int(data.Rows), int(data.Columns)
    plain = rows * columns * int(data.BitsAllocated) // 8
    if len(encoded) > 2 * plain + _BESIDES:
        raise InputError(
            f"{name} is damaged: a slice of {plain} bytes takes {len(encoded)} compressed"
        )
    if syntax == uid.RLELossless:
        return  # pydicom decodes it within the size that the header gives
    claims = _parameters(name, encoded, syntax in uid.JPEG2000TransferSyntaxes)
    inside = claims.get("rows"), claims.get("columns")
    if inside != (rows, columns):
        raise InputError(
            f"{name} is damaged: a slice of {columns} x {rows} voxels claims {inside[1]} x "
            f"{inside[0]} inside"
        )


def _parameters(name: str, encoded: bytes, jpeg2000: bool) -> dict[str, Any]:
    module = "openjpeg" if jpeg2000 else "libjpeg"
    try:
        reader = import_module(f"{module}.utils")
    except ImportError:
        raise CapabilityError(
            f"{name} is compressed, and pylibjpeg-{module} to decode it is not installed; install "
            f"it: {INSTALL}"
        ) from None
    found: dict[str, Any] = reader.get_parameters(encoded)
    return found


def _offsets(data: Dataset) -> Any:
    if "ExtendedOffsetTable" not in data:
        return None
    return data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths
