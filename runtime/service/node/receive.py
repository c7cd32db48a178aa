"""C-STORE: from what a peer sent to an object in the inbox and a status; pixels stay encoded."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode_file_meta
from pynetdicom.events import Event

from fmtool.errors import InputError
from runtime.service.node.identifiers import NotAnObject, identifiers
from runtime.service.node.log import node_log
from runtime.service.node.policy import Policy
from runtime.service.node.storage import Inbox, Names, names

SUCCESS = 0x0000
SOP_CLASS_NOT_SUPPORTED = 0x0122
OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000

STATUSES = {
    SUCCESS: "it is on the disk for good; or it was before",
    SOP_CLASS_NOT_SUPPORTED: "its SOP class is not the one of its presentation context",
    OUT_OF_RESOURCES: "it cannot be written; send it again",
    DOES_NOT_MATCH: "it is another object than the request names",
    CANNOT_UNDERSTAND: "it cannot be read, or lacks a UID of object, series or study",
}
"""What the node answers to a C-STORE request, and what that says of the object."""

_CHUNK = 256 << 10


class Stored(NamedTuple):
    """The status to answer with; where the object belongs; whether it is new."""

    status: int
    name: Names | None = None
    new: bool = False


def receive(event: Event, inbox: Inbox, policy: Policy) -> Stored:
    """Store the object of a C-STORE request exactly as it was sent.

    Raises nothing: whatever is wrong with the object or the disk becomes a status and a log line.
    """
    request, context = cast(C_STORE, event.request), event.context
    who = event.assoc.requestor

    def refused(why: str, **facts: Any) -> None:
        told = {"peer": who.address, "aet": who.ae_title, "why": why, **facts}
        node_log("object_refused", logging.WARNING, **told)

    if request.AffectedSOPClassUID != context.abstract_syntax:
        refused("its SOP class is not the one agreed on")
        return Stored(SOP_CLASS_NOT_SUPPORTED)
    data = event.encoded_dataset(include_meta=False)
    try:
        head = header(data, context.transfer_syntax, policy)
    except Exception as error:  # whatever a hostile object makes a parser raise
        refused("not a readable object", exception=type(error).__name__)
        return Stored(CANNOT_UNDERSTAND)
    name = names(
        head["StudyInstanceUID"],
        head["SeriesInstanceUID"],
        head["PatientID"],
        head["SOPInstanceUID"],
    )
    if (head["SOPInstanceUID"], head["SOPClassUID"]) != (
        request.AffectedSOPInstanceUID,
        request.AffectedSOPClassUID,
    ):
        refused("the object is not the one that the request names")
        return Stored(DOES_NOT_MATCH)
    meta = b"\0" * 128 + b"DICM" + encode_file_meta(event.file_meta)
    try:
        inbox.senders.note(name.series, who.ae_title, who.address)
        new = inbox.store(name, (meta, data), len(meta) + len(data), event.assoc)
    except (OSError, InputError) as error:
        number = getattr(error, "errno", None)
        refused("cannot write", exception=type(error).__name__, errno=number)
        return Stored(OUT_OF_RESOURCES)
    return Stored(SUCCESS, name, new)


def header(data: bytes, transfer_syntax: str, policy: Policy) -> dict[str, str]:
    """The identifiers of an encoded object, from its first `max_header_bytes`.

    Raises:
        NotAnObject: if one is missing, or the object inflates to more than may be.
        zlib.error: if it does not inflate.
    """
    start = data[: policy.max_header_bytes]
    if transfer_syntax == DeflatedExplicitVRLittleEndian:
        held, size = bytearray(), 0
        for part in _inflated(data):
            size += len(part)
            if size > policy.max_object_bytes:
                raise NotAnObject
            if len(held) < policy.max_header_bytes:
                held += part
        start = bytes(held)
    return identifiers(start, transfer_syntax == ImplicitVRLittleEndian)


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
