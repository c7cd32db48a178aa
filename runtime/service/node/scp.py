"""The SCP: an address that is listened on, and what it answers to each request."""

from __future__ import annotations

import logging
from ssl import SSLContext
from typing import Any, cast

from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE, A_RELEASE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    EnhancedMRImageStorage,
    MRImageStorage,
    Verification,
)

from fmtool.errors import InputError
from runtime.service.node.commitment import Commitments
from runtime.service.node.hardened import Acse, Dimse, guard
from runtime.service.node.listener import DicomListener, Handshake
from runtime.service.node.log import node_log
from runtime.service.node.metered import ConnectionMeter, MeteredTls
from runtime.service.node.peers import commit
from runtime.service.node.policy import Policy
from runtime.service.node.receive import SUCCESS, receive
from runtime.service.node.storage import Inbox

SOP_CLASSES = (MRImageStorage, EnhancedMRImageStorage)

TRANSFER_SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEG2000Lossless,
    JPEG2000,
    RLELossless,
]
"""What the node takes; objects are stored as they were sent."""


class NodeEntity(AE):
    """An application entity that counts the associations that were asked for.

    pynetdicom 3.0 counts a connection as one until its thread has ended: those that never asked for
    one, and were left, would keep others out for seconds.
    """

    @property
    def active_associations(self) -> list[Association]:
        """Those whose request has come."""
        return [one for one in super().active_associations if isinstance(one.acse, Acse)]


def listen(
    policy: Policy,
    inbox: Inbox,
    host: str,
    port: int,
    tls: SSLContext | None,
    commitments: Commitments | None = None,
) -> DicomListener:
    """Take an address; whoever connects waits until the listener serves.

    Args:
        policy: who may send what.
        inbox: where objects go.
        host: the address.
        port: 0 takes a free one.
        tls: a server's context, or None for plain DICOM.
        commitments: that the peer reports on; nobody else may, and it may do nothing else unless
            it is named.

    Raises:
        InputError: if the address cannot be listened on.
    """
    ae = NodeEntity(policy.aet)
    ae.require_called_aet = True
    reporter = commitments.reporter if commitments else None
    ae.require_calling_aet = [*policy.allow, *([reporter] if reporter else [])]
    ae.maximum_associations = policy.max_associations
    ae.maximum_pdu_size = policy.max_pdu
    ae.acse_timeout = policy.acse_s
    ae.dimse_timeout = policy.dimse_s
    ae.network_timeout = policy.network_s
    ae.add_supported_context(Verification)
    for sop_class in SOP_CLASSES:
        ae.add_supported_context(sop_class, TRANSFER_SYNTAXES)
    if reporter:  # the one who calls is the SCP of this one
        ae.add_supported_context(
            commit.SOP_CLASS, commit.TRANSFER_SYNTAXES, scu_role=False, scp_role=True
        )

    def reported(event: evt.Event) -> tuple[int, None]:
        assert commitments is not None
        try:
            return commit.answer(event, commitments.heed), None
        finally:
            _handled(event)

    def store(event: evt.Event) -> int:
        try:
            return receive(event, inbox, policy).status
        finally:
            _handled(event)

    def told(name: str) -> Any:
        return lambda event: node_log(name, logging.WARNING, peer=event.assoc.requestor.address)

    def opened(event: evt.Event) -> None:
        guard(event.assoc.dul.state_machine)

    def requested(event: evt.Event) -> None:
        event.assoc.acse = Acse(event.assoc)
        event.assoc.dimse = Dimse(event.assoc)
        title = cast(A_ASSOCIATE, event.assoc.requestor.primitive).calling_ae_title
        acceptor = event.assoc.acceptor
        acceptor.supported_contexts = [
            context
            for context in acceptor.supported_contexts
            if context.abstract_syntax == Verification
            or (
                title == reporter
                if context.abstract_syntax == commit.SOP_CLASS
                else title in policy.allow
            )
        ]

    def accepted(event: evt.Event) -> None:
        requestor = event.assoc.requestor
        assert isinstance(listener, DicomListener)
        listener.gate.busy((requestor.address, requestor.port))
        # The title is one of those that may call: whoever is not known may put anything there.
        node_log("association_accepted", peer=requestor.address, aet=requestor.ae_title)

    def told_of(event: evt.Event) -> None:
        """A release is written down here: the answer to it is sent after this."""
        primitive, waiting = cast(Any, event).primitive, event.assoc.dimse.msg_queue
        if isinstance(primitive, A_RELEASE) and waiting.empty():  # else those are lost
            inbox.released(event.assoc)

    handlers: list[Any] = [
        (evt.EVT_CONN_OPEN, opened),
        (evt.EVT_REQUESTED, requested),
        (evt.EVT_C_ECHO, _echo),
        (evt.EVT_C_STORE, store),
        (evt.EVT_N_EVENT_REPORT, reported),
        (evt.EVT_DIMSE_RECV, _arrived),
        (evt.EVT_ACCEPTED, accepted),
        (evt.EVT_ACSE_RECV, told_of),
        (evt.EVT_REJECTED, told("association_refused")),
        (evt.EVT_ABORTED, told("association_aborted")),
    ]
    if tls is not None:
        tls.sslsocket_class = MeteredTls
    try:
        listener = ae.make_server(
            (host, port),
            ssl_context=tls,
            evt_handlers=handlers,
            server_class=DicomListener,
            request_handler=Handshake,
            policy=policy,
        )
    except OSError as error:
        raise InputError(
            f"cannot listen on {host} port {port} ({error.strerror or error}); name another "
            "with --host or --port"
        ) from None
    assert isinstance(listener, DicomListener)
    return listener


def _echo(event: evt.Event) -> int:
    _handled(event)
    return SUCCESS


def _wire(event: evt.Event) -> ConnectionMeter | None:
    wire = getattr(event.assoc.dul.socket, "socket", None)  # None once the connection is closed
    return getattr(wire, "meter", None)


def _arrived(event: evt.Event) -> None:
    if meter := _wire(event):
        meter.arrived()


def _handled(event: evt.Event) -> None:
    if meter := _wire(event):
        meter.handled()
