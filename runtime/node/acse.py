"""What becomes of an association that cannot be negotiated: it is aborted, and nothing else."""

from __future__ import annotations

from pynetdicom.acse import ACSE
from pynetdicom.association import Association

from runtime.service.node.log import Log


class Acse(ACSE):
    """pynetdicom's negotiation, with a peer that may be hostile.

    pynetdicom 3.0 lets what a request's incomplete items raise, such as a presentation context
    without a syntax, end the thread that would answer and close the connection.
    """

    def __init__(self, association: Association, log: Log) -> None:
        super().__init__(association)
        self._log = log

    def negotiate_association(self) -> None:
        """Accept, refuse or abort what was requested."""
        try:
            super().negotiate_association()
        except Exception as error:  # whatever hostile bytes raise in the negotiation
            self._log(
                "connection_ended",
                peer=self.assoc.requestor.address,
                why="an association cannot be negotiated",
                exception=type(error).__name__,
            )
            self.assoc.abort()
