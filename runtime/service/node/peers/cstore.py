"""Documents to a DICOM node: C-STORE, an association for each."""

from __future__ import annotations

from pathlib import Path
from ssl import SSLContext

from pydicom import dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE

from runtime.service.node.peers import NotTaken, Unreached, judge, unreadable
from runtime.service.node.policy import Peer, Policy

TRANSFER_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
"""What documents are offered in."""

# Results of a presentation context (PS3.8, 9.3.3.2)
_LACKS = {3: "does not accept", 4: "accepts no transfer syntax of ours for"}


class StoreRoute:
    """C-STORE to a peer.

    Args:
        peer: where documents go.
        policy: the node's own AE title and timeouts.
        tls: a client's context, or None for a plain connection.
    """

    def __init__(self, peer: Peer, policy: Policy, tls: SSLContext | None) -> None:
        self._peer, self._tls = peer, tls
        self._ae = AE(policy.aet)
        self._ae.acse_timeout = policy.acse_s
        self._ae.dimse_timeout = policy.dimse_s
        self._ae.network_timeout = policy.network_s
        self._ae.connection_timeout = policy.acse_s

    def send(self, file: Path) -> None:
        """Send a document; see `Route`."""
        try:
            document = dcmread(file)
            sop_class = UID(document.SOPClassUID)
        except Exception as error:  # whatever damaged bytes raise in the parser
            raise unreadable(error) from None
        association = self._association(sop_class)
        try:
            status = association.send_c_store(document).get("Status")
        except (ValueError, RuntimeError) as error:  # it cannot be encoded; the connection is gone
            kind = type(error).__name__
            raise NotTaken("it could not be sent", None, exception=kind) from None
        finally:
            association.release()
        if status is None:
            raise NotTaken("the peer gave no answer", False)
        judge(status, sop_class=sop_class.name)

    def _association(self, sop_class: UID) -> Association:
        """An association in which documents of a class may be sent."""
        peer = self._peer
        self._ae.requested_contexts = []
        self._ae.add_requested_context(sop_class, TRANSFER_SYNTAXES)
        association = self._ae.associate(
            peer.host,
            peer.port,
            ae_title=peer.aet,
            tls_args=(self._tls, peer.host) if self._tls else None,
        )
        if association.is_established:
            return association
        for context in association.rejected_contexts:
            lacks = _LACKS.get(context.result or 0, "just now refuses")
            raise NotTaken(
                f"the peer {lacks} {sop_class.name} ({sop_class})",
                context.result in _LACKS,
                sop_class=sop_class.name,
            )
        answer = association.acceptor.primitive
        if association.is_rejected and isinstance(answer, A_ASSOCIATE):
            raise Unreached(f"it rejected the association: {answer.reason_str}")
        raise Unreached("it ended the association" if answer else "no connection")
