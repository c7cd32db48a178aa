"""What becomes of a message that cannot be decoded: its association ends, and nothing else."""

from __future__ import annotations

from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.pdu_primitives import P_DATA

from runtime.service.node.log import Log

_INVALID = "Evt19"  # of the state machine of PS3.8, 9.2.1: answered with an A-ABORT


class Dimse(DIMSEServiceProvider):
    """pynetdicom's message decoder, for an association with a peer that may be hostile.

    pynetdicom 3.0 lets what a command set without its elements raises end the thread that reads the
    connection; the association then stays open until its time is up, and holds a place that others
    need.
    """

    def __init__(self, association: Association, log: Log) -> None:
        super().__init__(association)
        self._log = log

    def receive_primitive(self, primitive: P_DATA) -> None:
        """A part of a message."""
        try:
            super().receive_primitive(primitive)
        except Exception as error:  # whatever hostile bytes raise in the decoder
            self._log(
                "connection_ended",
                peer=self.assoc.requestor.address,
                why="a message cannot be decoded",
                exception=type(error).__name__,
            )
            self.dul.event_queue.put(_INVALID)
