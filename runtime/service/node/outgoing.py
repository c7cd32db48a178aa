"""The outbox: documents on disk until the peer has acknowledged each of them, or never will.

    outgoing/JOB/1.dcm, 2.dcm      to be sent; a file goes when it is acknowledged
    refused/JOB/1.dcm, 1.json      the peer will not take it, and why
    sent/JOB.json                  nothing of it waits any more

Each document has an association, and so a fate, of its own: what one meets holds up no other. A
document whose acknowledgement got lost is sent again as the same object: the peer keeps one.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext
from typing import Any

from pydicom import dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE

from fmtool.errors import FmtoolError
from runtime.service import guard, move
from runtime.service.backoff import Backoff
from runtime.service.ending import Ending
from runtime.service.node.log import node_log
from runtime.service.node.policy import Peer, Policy
from runtime.system.atomic import write_bytes

_FIRST_S, _LONGEST_S = 5.0, 600.0  # between attempts: doubled from the one to the other
_TRIES = 10  # at a document whose refusal does not say whether it may pass

TRANSFER_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
"""What documents are offered in."""

# Statuses of PS3.7, annex C, and PS3.4, B.2.3
_WARNINGS = (0x0001, 0x0107, 0x0116)  # stored, with a remark; and all of 0xBxxx
_DUPLICATE = 0x0111  # stored before: the acknowledgement got lost
_PASSING = (0x0110, 0x0213)  # a failure in processing, of resources; and all of 0xA7xx
_LASTING = (0x0105, 0x0106, 0x0112, 0x0117, 0x0118, 0x0120, 0x0121, 0x0122, 0x0211, 0x0212)

# Results of a presentation context (PS3.8, 9.3.3.2)
_LACKS = {3: "does not accept", 4: "accepts no transfer syntax of ours for"}


class Outgoing:
    """Jobs on disk: the documents of one answer, to be sent together.

    Args:
        folder: the node's; `outgoing`, `refused` and `sent` are made in it.
    """

    def __init__(self, folder: Path) -> None:
        self._outgoing, self._sent = folder / "outgoing", folder / "sent"
        self._refused = folder / "refused"
        for place in (self._outgoing, self._sent, self._refused):
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
        folders = (entry for entry in self._outgoing.iterdir() if entry.is_dir())
        return [f.name for f in sorted(folders, key=lambda f: (f.stat().st_mtime, f.name))]

    def files(self, job: str) -> list[Path]:
        """The documents of a job that are not acknowledged."""
        return sorted((self._outgoing / job).glob("*.dcm"))

    def put_aside(self, job: str, file: Path, reason: str) -> None:
        """Send a document no more; the reason beside it."""
        place = self._refused / job
        place.mkdir(exist_ok=True)
        said = {"reason": reason, "time": _now()}
        write_bytes(place / f"{file.stem}.json", json.dumps(said, indent=1).encode())
        file.rename(place / file.name)

    def done(self, job: str) -> int:
        """Nothing of a job waits any more; how many of its documents were put aside."""
        refused = sorted(file.name for file in (self._refused / job).glob("*.dcm"))
        said = {"sent": _now(), "refused": refused}
        write_bytes(self._sent / f"{job}.json", json.dumps(said).encode())
        move.remove(self._outgoing / job)  # with the reasons, if somebody moved it back with them
        return len(refused)

    def forget(self, keep_days: float) -> None:
        """Forget what was sent longer ago."""
        _remove_older(self._sent, keep_days)

    def let_go(self, failed_days: float) -> None:
        """Delete what was put aside longer ago."""
        _remove_older(self._refused, failed_days)


def _remove_older(place: Path, days: float) -> None:
    for entry in place.iterdir():
        if entry.stat().st_mtime < time.time() - days * 86400:
            move.remove(entry)


@dataclass
class _Waiting:
    """A document that was not taken yet: when it is tried again, and how often it was refused."""

    backoff: Backoff = field(default_factory=lambda: Backoff(_FIRST_S, _LONGEST_S))
    refusals: int = 0


class _Unreached(Exception):
    """There is no association with the peer, and why."""


class _Refused(Exception):
    """A document that was not taken, and why.

    Attributes:
        lasting: whether it never will be; None if that is not known.
        facts: for the log.
    """

    def __init__(self, why: str, lasting: bool | None, **facts: Any) -> None:
        super().__init__(why)
        self.lasting, self.facts = lasting, facts


class Sender:
    """Sends what is in the outbox, again and again until it is acknowledged or refused for good.

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
        self._waiting: dict[Path, _Waiting] = {}
        # By kind of document: some peers refuse an association for what it offers.
        self._away: dict[str, Backoff] = {}

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
        """Try every document whose time has come, once; none while the peer is away."""
        for job in self._outbox.jobs():
            for file in self._outbox.files(job):
                if ending.asked:
                    return
                self._try(job, file)
            if not self._outbox.files(job):
                refused = self._outbox.done(job)
                facts = {"refused": refused} if refused else {}
                node_log("not_all_sent" if refused else "sent", job=job, **facts)

    def _try(self, job: str, file: Path) -> None:
        """Send a document if its time has come, and note what came of it."""
        waiting = self._waiting.setdefault(file, _Waiting())
        away = self._away.setdefault(file.name, Backoff(_FIRST_S, _LONGEST_S))
        if not (waiting.backoff.due and away.due):
            return
        facts = {"job": job, "document": file.name}
        try:
            self._send(file)
        except _Unreached as error:
            node_log("peer_unreachable", why=str(error), again_in_s=away.longer())
            return
        except _Refused as error:
            waiting.refusals += error.lasting is None
            node_log("document_refused", **facts, **error.facts, why=str(error))
            if error.lasting or waiting.refusals == _TRIES:
                self._outbox.put_aside(job, file, str(error))
                del self._waiting[file]
                node_log("document_put_aside", **facts, **error.facts)
            else:
                node_log("send_failed", **facts, again_in_s=waiting.backoff.longer())
        else:
            file.unlink()
            del self._waiting[file]
        away.over()

    def _send(self, file: Path) -> None:
        """Send a document.

        Raises:
            _Unreached: if there is no association with the peer.
            _Refused: if it is not taken.
        """
        try:
            document = dcmread(file)
            sop_class = UID(document.SOPClassUID)
        except OSError as error:
            raise _Refused("it cannot be read just now", False, errno=error.errno) from None
        except Exception as error:  # whatever damaged bytes raise in the parser
            raise _Refused("it is damaged", True, exception=type(error).__name__) from None
        association = self._association(sop_class)
        try:
            status = association.send_c_store(document).get("Status")
        except (ValueError, RuntimeError) as error:  # it cannot be encoded; the connection is gone
            kind = type(error).__name__
            raise _Refused("it could not be sent", None, exception=kind) from None
        finally:
            association.release()
        if status is None:
            raise _Refused("the peer gave no answer", False)
        if not (status in (0, _DUPLICATE, *_WARNINGS) or status >> 12 == 0xB):
            what = {"sop_class": sop_class.name, "status": f"0x{status:04X}"}
            raise _Refused(f"the peer answered 0x{status:04X}", _is_lasting(status), **what)

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
            raise _Refused(
                f"the peer {lacks} {sop_class.name} ({sop_class})",
                context.result in _LACKS,
                sop_class=sop_class.name,
            )
        answer = association.acceptor.primitive
        if association.is_rejected and isinstance(answer, A_ASSOCIATE):
            raise _Unreached(f"it rejected the association: {answer.reason_str}")
        raise _Unreached("it ended the association" if answer else "no connection")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _is_lasting(status: int) -> bool | None:
    """Whether a failure's status says that the document will never be taken; None if neither."""
    if status in _PASSING or status >> 8 == 0xA7:
        return False
    return True if status in _LASTING or status >> 8 in (0xA8, 0xA9) else None
