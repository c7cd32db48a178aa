"""The SCP: an address that is listened on, and what it answers to each request."""

from __future__ import annotations

import logging
from ssl import SSLContext
from typing import Any

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
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    EnhancedMRImageStorage,
    MRImageStorage,
    Verification,
)

from fmtool.errors import InputError
from runtime.service.node.hardened import Acse, Dimse, guard
from runtime.service.node.listener import DicomListener, Handshake
from runtime.service.node.log import node_log
from runtime.service.node.metered import ConnectionMeter, MeteredTls
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


def listen(
    policy: Policy, inbox: Inbox, host: str, port: int, tls: SSLContext | None
) -> DicomListener:
    """Take an address; whoever connects waits until the listener serves.

    Args:
        policy: who may send what.
        inbox: where objects go.
        host: the address.
        port: 0 takes a free one.
        tls: a server's context, or None for plain DICOM.

    Raises:
        InputError: if the address cannot be listened on.
    """
    ae = AE(policy.aet)
    ae.require_called_aet = True
    ae.require_calling_aet = list(policy.allow)
    ae.maximum_associations = policy.max_associations
    ae.maximum_pdu_size = policy.max_pdu
    ae.acse_timeout = policy.acse_s
    ae.dimse_timeout = policy.dimse_s
    ae.network_timeout = policy.network_s
    ae.add_supported_context(Verification)
    for sop_class in SOP_CLASSES:
        ae.add_supported_context(sop_class, TRANSFER_SYNTAXES)

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

    def accepted(event: evt.Event) -> None:
        requestor = event.assoc.requestor
        assert isinstance(listener, DicomListener)
        listener.gate.busy((requestor.address, requestor.port))
        # The title is one of those that may call: whoever is not known may put anything there.
        node_log("association_accepted", peer=requestor.address, aet=requestor.ae_title)

    handlers: list[Any] = [
        (evt.EVT_CONN_OPEN, opened),
        (evt.EVT_REQUESTED, requested),
        (evt.EVT_C_ECHO, _echo),
        (evt.EVT_C_STORE, store),
        (evt.EVT_DIMSE_RECV, _arrived),
        (evt.EVT_ACCEPTED, accepted),
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
