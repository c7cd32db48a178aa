"""C-STORE: from what a peer sent to an object in the inbox and a status; pixels stay encoded."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import NamedTuple, cast

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode_file_meta
from pynetdicom.events import Event

from runtime.service.node.log import node_log
from runtime.service.node.policy import Policy
from runtime.service.node.storage import Inbox, Names, names

SUCCESS = 0x0000
SOP_CLASS_NOT_SUPPORTED = 0x0122
OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000

_WANTED = {
    "SOPClassUID": 0x00080016,
    "SOPInstanceUID": 0x00080018,
    "PatientID": 0x00100020,
    "StudyInstanceUID": 0x0020000D,
    "SeriesInstanceUID": 0x0020000E,
}
_LAST = max(_WANTED.values())  # an object's tags are in ascending order
_CHUNK = 256 << 10


class Stored(NamedTuple):
    """The status to answer with; where the object belongs; whether it is new."""

    status: int
    name: Names | None = None
    new: bool = False


class NotAnObject(Exception):
    """Bytes that are no DICOM object, or one without the identifiers it must have."""


def receive(event: Event, inbox: Inbox, policy: Policy) -> Stored:
    """Store the object of a C-STORE request exactly as it was sent.

    Raises nothing: whatever is wrong with the object or the disk becomes a status and a log line.
    """
    request, context = cast(C_STORE, event.request), event.context
    if request.AffectedSOPClassUID != context.abstract_syntax:
        node_log("object_refused", why="its SOP class is not the one agreed on")
        return Stored(SOP_CLASS_NOT_SUPPORTED)
    data = event.encoded_dataset(include_meta=False)
    try:
        head = header(data, context.transfer_syntax, policy)
        name = names(
            str(head.StudyInstanceUID),
            str(head.SeriesInstanceUID),
            str(head.get("PatientID", "")),
            str(head.SOPInstanceUID),
        )
    except Exception as error:  # whatever a hostile object makes a parser raise
        node_log("object_refused", why="not a readable object", exception=type(error).__name__)
        return Stored(CANNOT_UNDERSTAND)
    if (head.SOPInstanceUID, head.SOPClassUID) != (
        request.AffectedSOPInstanceUID,
        request.AffectedSOPClassUID,
    ):
        node_log("object_refused", why="the object is not the one that the request names")
        return Stored(DOES_NOT_MATCH)
    meta = b"\0" * 128 + b"DICM" + encode_file_meta(event.file_meta)
    try:
        new = inbox.store(name, (meta, data), len(meta) + len(data), event.assoc)
    except OSError as error:
        node_log(
            "object_refused", why="cannot write", exception=type(error).__name__, errno=error.errno
        )
        return Stored(OUT_OF_RESOURCES)
    return Stored(SUCCESS, name, new)


def header(data: bytes, transfer_syntax: str, policy: Policy) -> Dataset:
    """The identifiers of an encoded object, from its first `max_header_bytes`.

    Raises:
        NotAnObject: if one is missing, or the object inflates to more than may be.
        Exception: anything that pydicom raises on bytes that are not DICOM.
    """
    start = data[: policy.max_header_bytes]
    if transfer_syntax == DeflatedExplicitVRLittleEndian:
        start, size = b"", 0
        for part in _inflated(data):
            size += len(part)
            if size > policy.max_object_bytes:
                raise NotAnObject
            if len(start) < policy.max_header_bytes:
                start += part
    implicit = transfer_syntax == ImplicitVRLittleEndian
    tags: list[BaseTag | int] = list(_WANTED.values())
    found = read_dataset(BytesIO(start), implicit, True, stop_when=_after, specific_tags=tags)
    if not all(found.get(keyword) for keyword in _WANTED if keyword != "PatientID"):
        raise NotAnObject
    return found


def _after(tag: BaseTag, vr: str | None, length: int) -> bool:
    return int(tag) > _LAST


def _inflated(data: bytes) -> Iterator[bytes]:
    """The content of a deflated object, in parts whose size does not depend on what it claims."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    for start in range(0, len(data), _CHUNK):
        rest = data[start : start + _CHUNK]
        while rest:
            part = inflate.decompress(rest, _CHUNK)
            if not part:
                break
            yield part
            rest = inflate.unconsumed_tail
