"""The peer of a node: it stores all documents and reports its commitments."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModelInstance as Instance

from runtime.documents.naming import DOCUMENTS
from runtime.service.node.peers.commit import SOP_CLASS


class Archive:
    """The peer: what it stored, by instance, and how often it got one again, as it was or not."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.again = self.different = self.node = 0
        ae = AE("ARCHIVE")
        for sop_class, _ in DOCUMENTS.values():
            ae.add_supported_context(sop_class)
        ae.add_supported_context(SOP_CLASS)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._asked)]
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        self.port = int(server.server_address[1])

    def kept(self, folder: Path, series: int) -> dict[str, int]:
        """What became of a node's documents, and how many of them are lost.

        A series that came in two parts may have two answers.

        Args:
            folder: with the node's inbox and its FHIR reports, of which a series has one.
            series: how many the node acknowledged.
        """
        inbox, fhir = folder / "inbox", len(list((folder / "fhir").iterdir()))
        jobs = {
            file.stem: json.loads(file.read_bytes()) for file in (inbox / "sent").glob("*.json")
        }
        expected = len(jobs) * len(DOCUMENTS)
        found = {
            "series": series,
            "series_answered": len({name.rpartition("-")[0] for name in jobs}),
            "answers": len(jobs),
            "documents_expected": expected + series,
            "documents": len(self.stored) + fhir,
            "committed": sum(len(job["committed"]) for job in jobs.values()),
            "sent_again": self.again,
            "different": self.different,
            "put_aside": sum(len(list(inbox.glob(f))) for f in ("refused/*/*", "quarantine/*")),
        }
        short = [
            series - found["series_answered"],
            series - fhir,
            expected - len(self.stored),
            expected - found["committed"],
        ]
        lost = sum(map(abs, short)) + found["different"] + found["put_aside"]
        return found | {"documents_lost": lost}

    def _store(self, event: evt.Event) -> int:
        uid, data = str(event.dataset.SOPInstanceUID), bytes(event.encoded_dataset(False))
        if uid in self.stored:
            self.again += 1
            self.different += len(self.stored[uid]) != len(data)
        self.stored[uid] = data
        return 0

    def _asked(self, event: evt.Event) -> tuple[int, None]:
        said = event.action_information
        kept = [i.ReferencedSOPInstanceUID in self.stored for i in said.ReferencedSOPSequence]
        if all(kept):
            threading.Thread(target=self._report, args=(said,), daemon=True).start()
        return 0, None

    def _report(self, said: Dataset) -> None:
        ae = AE("ARCHIVE")
        ae.add_requested_context(SOP_CLASS)
        role = build_role(SOP_CLASS, scp_role=True)
        association = ae.associate("127.0.0.1", self.node, ae_title="FMTOOL", ext_neg=[role])
        if association.is_established:  # else the node was killed, and asks again
            association.send_n_event_report(said, 1, SOP_CLASS, Instance)
            association.release()


def drained(inbox: Path, seconds: float) -> bool:
    """Whether a node has ended all that it had to do before so long."""
    places = ("receiving", "answering", "outgoing", "committing")  # the last two not of every node
    end = time.monotonic() + seconds
    while any(any(inbox.glob(f"{place}/*")) for place in places):
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True
