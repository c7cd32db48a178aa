"""Associations with a peer that documents go to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ssl import SSLContext
from typing import Any

from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE

from runtime.service.node.peers import NotTaken, Unreached
from runtime.service.node.policy import Peer, Policy

# Results of a presentation context (PS3.8, 9.3.3.2)
_LACKS = {3: "does not accept", 4: "accepts no transfer syntax of ours for"}


class Caller:
    """Opens associations.

    Args:
        peer: who is called.
        policy: the node's own AE title and timeouts.
        tls: a client's context, or None for a plain connection.
    """

    def __init__(self, peer: Peer, policy: Policy, tls: SSLContext | None) -> None:
        self.peer, self._policy, self._tls = peer, policy, tls

    def open(
        self,
        sop_class: UID,
        syntaxes: Sequence[UID],
        beside: Sequence[str] = (),
        handlers: Mapping[Any, Callable[..., Any]] | None = None,
    ) -> Association:
        """An association in which a SOP class is agreed on.

        Args:
            sop_class: see there.
            syntaxes: what it is offered in.
            beside: SOP classes that are proposed as well, agreed on or not.
            handlers: of events, what the peer asks of this side.

        Raises:
            NotTaken: if the peer does not agree on the class.
            Unreached: if there is no association.
        """
        policy = self._policy
        ae = AE(policy.aet)
        ae.acse_timeout = ae.connection_timeout = policy.acse_s
        ae.dimse_timeout, ae.network_timeout = policy.dimse_s, policy.network_s
        ae.add_requested_context(sop_class, list(syntaxes))
        for other in beside:
            ae.add_requested_context(other)
        association = ae.associate(
            self.peer.host,
            self.peer.port,
            ae_title=self.peer.aet,
            tls_args=(self._tls, self.peer.host) if self._tls else None,
            evt_handlers=list((handlers or {}).items()),
        )
        for context in association.rejected_contexts:
            if context.abstract_syntax == sop_class:
                if association.is_established:
                    association.release()
                lacks = _LACKS.get(context.result or 0, "just now refuses")
                raise NotTaken(
                    f"the peer {lacks} {sop_class.name} ({sop_class})",
                    context.result in _LACKS,
                    sop_class=sop_class.name,
                )
        if association.is_established:
            return association
        answer = association.acceptor.primitive
        if association.is_rejected and isinstance(answer, A_ASSOCIATE):
            raise Unreached(f"it rejected the association: {answer.reason_str}", answered=True)
        why = "it ended the association" if answer else "no connection"
        raise Unreached(why, answered=bool(answer))
