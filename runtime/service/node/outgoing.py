"""The outbox: documents on disk until the peer has acknowledged each of them.

    outgoing/JOB/1.dcm, 2.dcm      to be sent; a file goes when it is acknowledged
    sent/JOB.json                  all were

A document whose acknowledgement got lost is sent again as the same object: the peer keeps one.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from ssl import SSLContext

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association

from fmtool.errors import FmtoolError
from runtime.service import guard
from runtime.service.backoff import Backoff
from runtime.service.ending import Ending
from runtime.service.node.log import node_log
from runtime.service.node.policy import Peer, Policy
from runtime.system.atomic import write_bytes

_FIRST_S, _LONGEST_S = 5.0, 600.0  # between attempts: doubled from the one to the other
_WARNINGS = (0xB000, 0xB006, 0xB007)  # stored, with a remark (PS3.4, B.2.3)


class Outgoing:
    """Jobs on disk: the documents of one answer, to be sent together.

    Args:
        folder: the node's; `outgoing` and `sent` are made in it.
    """

    def __init__(self, folder: Path) -> None:
        self._outgoing, self._sent = folder / "outgoing", folder / "sent"
        for place in (self._outgoing, self._sent):
            place.mkdir(parents=True, exist_ok=True)

    def known(self, job: str) -> bool:
        """Whether a job waits, or was sent."""
        return (self._outgoing / job).exists() or (self._sent / f"{job}.json").exists()

    def put(self, job: str, staged: Path) -> None:
        """Queue a folder of documents, all of them or none.

        Raises:
            OSError: if that cannot be; the folder is still there.
        """
        staged.rename(self._outgoing / job)
        guard.sync(self._outgoing)

    def jobs(self) -> list[str]:
        """What waits, oldest first."""
        folders = sorted(self._outgoing.iterdir(), key=lambda f: (f.stat().st_mtime, f.name))
        return [folder.name for folder in folders]

    def files(self, job: str) -> list[Path]:
        """The documents of a job that are not acknowledged."""
        return sorted((self._outgoing / job).glob("*.dcm"))

    def done(self, job: str) -> None:
        """All documents of a job are acknowledged."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        write_bytes(self._sent / f"{job}.json", json.dumps({"sent": now}).encode())
        (self._outgoing / job).rmdir()

    def forget(self, keep_days: float) -> None:
        """Forget what was sent longer ago."""
        oldest = time.time() - keep_days * 86400
        for file in self._sent.iterdir():
            if file.stat().st_mtime < oldest:
                file.unlink()


class Sender:
    """Sends what is in the outbox, again and again until it is acknowledged.

    Args:
        outbox: where the documents wait.
        peer: where they go.
        policy: the node's own AE title and timeouts.
        tls: a client's context, or None for a plain connection.
    """

    def __init__(
        self, outbox: Outgoing, peer: Peer, policy: Policy, tls: SSLContext | None = None
    ) -> None:
        self._outbox, self._peer, self._tls = outbox, peer, tls
        self._ae = AE(policy.aet)
        self._ae.acse_timeout = policy.acse_s
        self._ae.dimse_timeout = policy.dimse_s
        self._ae.network_timeout = policy.network_s
        self._ae.connection_timeout = policy.acse_s
        self._jobs: dict[str, Backoff] = {}
        self._away = Backoff(_FIRST_S, _LONGEST_S)

    def run(self, ending: Ending, pause_s: float) -> None:
        """Send until the end is asked for, looking for work so often."""
        while not ending.wait(pause_s):
            try:
                self.send_due(ending)
            except (OSError, FmtoolError) as error:  # the disk, not the peer: nothing is lost
                number = getattr(error, "errno", None)
                node_log("outbox_trouble", exception=type(error).__name__, errno=number)
                ending.wait(_FIRST_S)

    def send_due(self, ending: Ending) -> None:
        """Try every job whose time has come, once; none while the peer is away."""
        if not self._away.due:
            return
        for job in self._outbox.jobs():
            backoff = self._jobs.setdefault(job, Backoff(_FIRST_S, _LONGEST_S))
            if ending.asked:
                return
            if not backoff.due:
                continue
            try:
                done = self._send(job)
            except ConnectionError:
                node_log("peer_unreachable", again_in_s=self._away.longer())
                return
            self._away.over()
            if done:
                self._outbox.done(job)
                del self._jobs[job]
                node_log("sent", job=job)
            else:
                node_log("send_failed", job=job, again_in_s=backoff.longer())

    def _send(self, job: str) -> bool:
        """Send what is not acknowledged; whether everything is now.

        Raises:
            ConnectionError: if there is no association with the peer.
        """
        files = self._outbox.files(job)
        if not files:  # acknowledged just before a crash
            return True
        documents = [dcmread(file) for file in files]
        self._ae.requested_contexts = []
        for sop_class in dict.fromkeys(document.SOPClassUID for document in documents):
            self._ae.add_requested_context(
                sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
            )
        peer = self._peer
        association = self._ae.associate(
            peer.host,
            peer.port,
            ae_title=peer.aet,
            tls_args=(self._tls, peer.host) if self._tls else None,
        )
        if not association.is_established:
            raise ConnectionError
        try:
            for file, document in zip(files, documents, strict=True):
                if not self._store(association, document, job):
                    return False
                file.unlink()
            return True
        finally:
            association.release()

    def _store(self, association: Association, document: Dataset, job: str) -> bool:
        try:
            status = association.send_c_store(document).get("Status")
        except (ValueError, RuntimeError) as error:  # no such context agreed on; connection gone
            node_log("document_refused", job=job, exception=type(error).__name__)
            return False
        if status == 0x0000 or status in _WARNINGS:
            return True
        node_log("document_refused", job=job, status=f"0x{status:04X}" if status else "none")
        return False
