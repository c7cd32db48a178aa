"""Documents to a DICOM node: C-STORE, an association for each."""

from __future__ import annotations

from pathlib import Path

from pydicom import dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from runtime.service.node.peers import NotTaken, judge, unreadable
from runtime.service.node.peers.association import Caller

TRANSFER_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
"""What documents are offered in."""


class StoreRoute:
    """C-STORE to a peer.

    Args:
        caller: of the peer.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def send(self, file: Path) -> None:
        """Send a document; see `Route`."""
        try:
            document = dcmread(file)
            sop_class = UID(document.SOPClassUID)
        except Exception as error:  # whatever damaged bytes raise in the parser
            raise unreadable(error) from None
        association = self._caller.open(sop_class, TRANSFER_SYNTAXES)
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
