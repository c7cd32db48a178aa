"""Storage commitment, as SCU (PS3.4, annex J): the peer is asked to keep what it has stored."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import cast

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import decode
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)

from runtime.service.node.log import node_log
from runtime.service.node.peers import NotTaken, Unreached
from runtime.service.node.peers.association import Caller

SOP_CLASS = StorageCommitmentPushModel
TRANSFER_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]

SUCCESS = 0x0000
NO_SUCH_EVENT = 0x0113
INVALID = 0x0115
OUT_OF_RESOURCES = 0x0213

STATUSES = {
    SUCCESS: "it is heeded; or nobody waits for it any more",
    NO_SUCH_EVENT: "its event type is none of 1 and 2",
    INVALID: "it cannot be read, or is too large",
    OUT_OF_RESOURCES: "it cannot be noted; send it again",
}
"""What the node answers to an N-EVENT-REPORT request, and what that says of the report."""

_REQUEST = 1  # action type
_KEPT, _SOME_FAILED = 1, 2  # event types
_MOST_BYTES = 1 << 20
_REPLY_S = 10.0
_UNKNOWN_FAILURE = 0x0110
# N-ACTION statuses of a peer that does not offer it to this node (PS3.7, annex C)
_NOT_OFFERED = (0x0112, 0x0118, 0x0122, 0x0123, 0x0124, 0x0211)


@dataclass(frozen=True)
class CommitmentReport:
    """What the peer says of what it was asked to keep.

    Attributes:
        transaction: the request's UID.
        kept: UIDs of the instances that it keeps.
        failed: of those that it does not, and its reasons.
    """

    transaction: str
    kept: frozenset[str]
    failed: dict[str, int]


Heed = Callable[[CommitmentReport], None]
"""Notes a report for good, or raises OSError or FmtoolError."""


class CommitRoute:
    """N-ACTION to a peer.

    Args:
        caller: of the peer.

    Attributes:
        aet: the title that reports come from.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.aet = caller.peer.aet

    def ask(
        self,
        transaction: str,
        instances: Sequence[tuple[str, str]],
        heed: Heed,
        stay: Callable[[], None],
    ) -> None:
        """Ask the peer to keep instances; its report comes now, or in an association of its own.

        Args:
            transaction: a UID that no other request has.
            instances: SOP class and instance of each.
            heed: takes the report, if it comes now.
            stay: waits for it.

        Raises:
            NotTaken: if the peer offers no such thing (`lasting`), or takes this request not.
            Unreached: if there is no association for it.
        """
        arrived, replied = threading.Event(), threading.Event()

        def reported(event: evt.Event) -> tuple[int, None]:
            arrived.set()
            return answer(event, heed), None

        def sent(event: evt.Event) -> None:
            if arrived.is_set() and isinstance(event.pdu, P_DATA_TF):
                replied.set()

        try:
            association = self._caller.open(
                UID(SOP_CLASS),
                TRANSFER_SYNTAXES,
                (Verification,),  # some peers refuse an association in which they agree on nothing
                {evt.EVT_N_EVENT_REPORT: reported, evt.EVT_PDU_SENT: sent},
            )
        except NotTaken as error:
            if error.lasting:
                raise
            raise Unreached(str(error), answered=True) from None
        try:
            status = _ask(association, _request(transaction, instances))
            if status is None:
                raise NotTaken("the peer gave no answer", False)
            if status != SUCCESS:
                said = f"0x{status:04X}"
                why = f"the peer answered {said} to what it was asked to keep"
                raise NotTaken(why, status in _NOT_OFFERED, status=said)
            stay()
            if arrived.is_set():  # else the association is released before the report is answered
                replied.wait(_REPLY_S)
        finally:
            association.release()


def _ask(association: Association, request: Dataset) -> int | None:
    """The status that the peer answers with; None if it does not."""
    try:
        response, _ = association.send_n_action(
            request, _REQUEST, SOP_CLASS, StorageCommitmentPushModelInstance
        )
    except (ValueError, RuntimeError):  # the connection is gone
        return None
    found = response.get("Status")
    return None if found is None else int(found)


def _request(transaction: str, instances: Sequence[tuple[str, str]]) -> Dataset:
    request = Dataset()
    request.TransactionUID = transaction
    request.ReferencedSOPSequence = []
    for sop_class, instance in instances:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
        request.ReferencedSOPSequence.append(item)
    return request


def answer(event: evt.Event, heed: Heed) -> int:
    """Heed an N-EVENT-REPORT request; the status to answer with. Raises nothing."""
    peer = event.assoc.acceptor if event.assoc.is_requestor else event.assoc.requestor

    def refused(why: str, error: Exception | None = None) -> None:
        kind = type(error).__name__ if error else None
        facts = {"peer": peer.address, "why": why, "exception": kind}
        node_log("commitment_report_refused", logging.WARNING, **facts)

    request = cast(N_EVENT_REPORT, event.request)
    if request.EventTypeID not in (_KEPT, _SOME_FAILED):
        refused("no such event")
        return NO_SUCH_EVENT
    try:
        syntax = event.context.transfer_syntax
        encoded = request.EventInformation or BytesIO()
        report = _report(encoded, syntax == ImplicitVRLittleEndian)
    except Exception as error:  # whatever hostile bytes raise in the parser
        refused("it cannot be read", error)
        return INVALID
    try:
        heed(report)
    except Exception as error:  # the disk, whatever it raises: the peer must not think it noted
        refused("it cannot be noted", error)
        return OUT_OF_RESOURCES
    return SUCCESS


def _report(encoded: BytesIO, implicit: bool) -> CommitmentReport:
    if len(encoded.getbuffer()) > _MOST_BYTES:
        raise ValueError("too large a report")
    said = decode(encoded, implicit, True)
    failed = {
        str(item.ReferencedSOPInstanceUID): int(item.get("FailureReason") or _UNKNOWN_FAILURE)
        for item in said.get("FailedSOPSequence") or ()
    }
    kept = {str(item.ReferencedSOPInstanceUID) for item in said.get("ReferencedSOPSequence") or ()}
    return CommitmentReport(str(said.TransactionUID), frozenset(kept - set(failed)), failed)
