"""Jobs: what was uploaded, kept in the spool and the ledger, so that it survives a restart.

    uploads/ID                         what came in, until it is answered
    pages/CONTENT-BUNDLE/report.html   the page of an answer; the answer itself is in the ledger
    ledger.sqlite                      the record: an item per job, whose source is the job's id

An id is a random number that nobody can guess. Nothing that a client says becomes part of a path.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from fmtool import files
from runtime.ledger import FILE, Ledger
from runtime.ledger.outcomes import LedgerItem, answers, counts, find, newest, outcomes
from runtime.service import move
from runtime.service.answer import PAGE
from runtime.service.http.limits import Limits, Refusal
from runtime.system import posix

JobState = Literal["queued", "running", "done", "failed"]

_ID = re.compile(r"[0-9a-f]{32}\Z")
_STATES: dict[str, JobState] = {
    "waiting": "queued",
    "running": "running",
    "done": "done",
    "failed": "failed",
    "quarantined": "failed",
}


class JobTold(BaseModel):
    """How a job stands: its result, as `fmtool predict --json` gives it, or why it has none."""

    id: str
    state: JobState
    result: dict[str, Any] | None = None
    error: str | None = None
    attempts: int = Field(0, description="that failed")


class JobListed(BaseModel):
    """A job in the list of the last ones."""

    id: str
    state: JobState
    added: str = Field(description="UTC")
    stage: str = Field("", description="that a running job has come to")
    error: str | None = None


class Spool:
    """The folders of one service.

    Args:
        folder: exists, can be written, and belongs to this process alone.
        bundle: the bundle's digest.
    """

    def __init__(self, folder: Path, bundle: str) -> None:
        self.folder = folder
        self.bundle = bundle
        self.uploads = folder / "uploads"
        self.pages = folder / "pages"
        for place in (self.uploads, self.pages):
            place.mkdir(exist_ok=True, mode=0o700)
        with Ledger(folder / FILE) as ledger:
            self._recover(ledger)
        move.clear(self.pages)

    def page(self, content: str, bundle: str | None = None) -> Path:
        """Where the page of a content's answer by a bundle, this one's if None, is or will be."""
        return self.pages / f"{content}-{(bundle or self.bundle)[:12]}" / PAGE

    def publish(self, content: str) -> None:
        """Put the staged answer in its place in one step."""
        staged = move.staged(self.pages, content)
        files.put(staged, self.page(content).parent)
        move.remove(staged)
        posix.sync(self.pages)

    def forget(self, ledger: Ledger, keep_days: float) -> int:
        """Delete the jobs that were settled longer ago, with their results; how many."""
        count = ledger.forget(keep_days)
        kept = {self.page(*answer).parent for answer in answers(ledger)}
        for folder in list(self.pages.iterdir()):
            if folder not in kept:
                move.remove(folder)
        return count

    def _recover(self, ledger: Ledger) -> None:
        """What an earlier process left: its jobs wait for this one, its torn uploads go."""
        ledger.take_over(self.bundle)
        for upload in list(self.uploads.iterdir()):
            job = find(ledger, upload.name)
            if job is None or job.state != "waiting":
                upload.unlink()
            if job is not None and job.state == "done":  # recorded just before a crash
                staged = move.staged(self.pages, str(job.content))
                if staged.is_dir():
                    files.put(staged, self.page(str(job.content), job.bundle).parent)


class Jobs:
    """What the service's requests do with the spool; from any thread.

    Args:
        spool: see there.
        limits: of which `queue` is kept.
        stage: what the running job has come to.
    """

    def __init__(self, spool: Spool, limits: Limits, stage: Callable[[], str] = lambda: "") -> None:
        self._stage = stage
        self._spool = spool
        self._limits = limits
        self._ledger = Ledger(spool.folder / FILE)
        self._lock = threading.Lock()
        self._arriving = 0

    def close(self) -> None:
        """Close the ledger."""
        with self._lock:
            self._ledger.run.close()

    @contextmanager
    def place(self) -> Iterator[tuple[str, Path]]:
        """A place in the queue while an upload arrives: its id, and where to write it.

        Raises:
            Refusal: 429 if the queue is full.
        """
        with self._lock:
            states = counts(self._ledger)
            if states["waiting"] + states["running"] + self._arriving >= self._limits.queue:
                raise Refusal(429, "the queue is full; try again later", self._limits.retry_s)
            self._arriving += 1
        identity = secrets.token_hex(16)
        try:
            yield identity, self._spool.uploads / identity
        finally:
            with self._lock:
                self._arriving -= 1

    def add(self, identity: str, content: str, sender: str = "") -> None:
        """Enter an upload that is on disk, and whose it is; from now on it will be answered."""
        posix.sync(self._spool.uploads)
        with self._lock:
            self._ledger.add(identity, content, self._spool.bundle, {}, sender=sender)

    def find(self, identity: str) -> JobTold | None:
        """A job by its id."""
        with self._lock:
            item = self._item(identity)
            if item is None:
                return None
            told = JobTold(id=identity, state=_STATES[item.state], attempts=item.attempts)
            if told.state == "done":
                (told.result,) = outcomes(self._ledger, [item.item])
            elif told.state == "failed":
                told.error = item.error
        return told

    def last(self, count: int) -> list[JobListed]:
        """The jobs that came last, the last first."""
        with self._lock:
            found = newest(self._ledger, count)
        return [
            JobListed(
                id=item.scan,
                state=_STATES[item.state],
                added=added,
                stage=self._stage() if item.state == "running" else "",
                error=item.error if _STATES[item.state] == "failed" else None,
            )
            for item, added in found
        ]

    def page(self, identity: str) -> Path | None:
        """The page of a job that is done."""
        with self._lock:
            item = self._item(identity)
        if item is None or item.state != "done":
            return None
        path = self._spool.page(str(item.content), item.bundle)
        return path if path.is_file() else None

    def states(self) -> dict[str, int]:
        """The number of jobs in each of the ledger's states."""
        with self._lock:
            return {str(state): count for state, count in counts(self._ledger).items()}

    def _item(self, identity: str) -> LedgerItem | None:
        return find(self._ledger, identity) if _ID.match(identity) else None
