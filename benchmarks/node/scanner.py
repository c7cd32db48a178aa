"""Who sends to a node, until it has acknowledged all."""

from __future__ import annotations

import time
from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import MRImageStorage, Verification  # type: ignore[attr-defined]


class Sent(NamedTuple):
    """Instances acknowledged, and associations that broke on the way and were asked for again."""

    instances: int
    broken: int


def send(port: int, datasets: list[Dataset], whole: bool = False) -> Sent:
    """Send over one association, or over more if one breaks or is refused, as a scanner does.

    What was sent over one that broke may be sent again, `whole`: a node cannot know that it is.
    """
    ae = AE("SCANNER")
    ae.add_requested_context(Verification)
    ae.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    sent, broken = 0, 0
    while sent < len(datasets):
        association = ae.associate("127.0.0.1", port, ae_title="FMTOOL")
        if not association.is_established:
            time.sleep(0.1)  # as many as may be are still open: ending takes a moment
            continue
        association.send_c_echo()
        for ds in datasets[sent:]:
            status = association.send_c_store(ds) if association.is_established else Dataset()
            if "Status" not in status:
                broken, sent = broken + 1, 0 if whole else sent
                break
            if status.Status:
                raise RuntimeError(f"an instance was refused with 0x{status.Status:04X}")
            sent += 1
        association.release()
    return Sent(sent, broken)
