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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from fmtool import files
from runtime.ledger import Ledger
from runtime.ledger.outcomes import counts, outcomes
from runtime.service import guard, move
from runtime.service.answer import PAGE
from runtime.service.http.limits import Limits, Refusal

State = Literal["queued", "running", "done", "failed"]

LEDGER = "ledger.sqlite"
OPTIONS: dict[str, Any] = {}
"""Nothing but the bundle changes an answer here."""

_ID = re.compile(r"[0-9a-f]{32}\Z")
_STATES: dict[str, State] = {
    "waiting": "queued",
    "running": "running",
    "done": "done",
    "failed": "failed",
    "quarantined": "failed",
}


@dataclass(frozen=True)
class Job:
    """How a job stands.

    Attributes:
        id: of the job.
        state: see `State`.
        result: of a job that is done.
        error: of one that failed.
    """

    id: str
    state: State
    result: dict[str, Any] | None = None
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
        move.clear(self.pages)
        with Ledger(folder / LEDGER) as ledger:
            self._recover(ledger)

    def page(self, content: str, bundle: str | None = None) -> Path:
        """Where the page of a content's answer by a bundle, this one's if None, is or will be."""
        return self.pages / f"{content}-{(bundle or self.bundle)[:12]}" / PAGE

    def stage(self, content: str) -> Path:
        """An empty folder to write the answer into."""
        staged = self.pages / f"{move.SCRATCH}{content}"
        move.remove(staged)
        staged.mkdir()
        return staged

    def publish(self, content: str) -> None:
        """Put the staged answer in its place in one step."""
        staged = self.pages / f"{move.SCRATCH}{content}"
        files.put(staged, self.page(content).parent)
        move.remove(staged)
        guard.sync(self.pages)

    def forget(self, ledger: Ledger, keep_days: float) -> int:
        """Delete the jobs that were settled longer ago, with their results; how many."""
        oldest = (datetime.now(UTC) - timedelta(days=keep_days)).isoformat(timespec="milliseconds")
        with ledger.run.transaction():
            count = ledger.run(
                "DELETE FROM items WHERE state IN ('done', 'failed', 'quarantined') AND max(added, "
                "coalesce((SELECT finished FROM results WHERE results.id = items.result), ''), "
                "coalesce((SELECT max(at) FROM errors WHERE errors.item = items.id), '')) < ?",
                oldest,
            ).rowcount
            ledger.run(
                "DELETE FROM results WHERE id NOT IN "
                "(SELECT result FROM items WHERE result IS NOT NULL)"
            )
            kept = {f"{r['content']}-{r['bundle'][:12]}" for r in ledger.run("SELECT * FROM items")}
        for folder in list(self.pages.iterdir()):
            if folder.name not in kept:
                move.remove(folder)
        return int(count)

    def _recover(self, ledger: Ledger) -> None:
        """What an earlier process left: its jobs wait for this one, its torn uploads go."""
        ledger.run(
            "UPDATE items SET state = 'waiting', owner = NULL, bundle = ? "
            "WHERE state IN ('waiting', 'running')",
            self.bundle,
        )
        waiting = ledger.run("SELECT source FROM items WHERE state = 'waiting'").fetchall()
        wanted = {str(row["source"]) for row in waiting}
        for upload in list(self.uploads.iterdir()):
            if upload.name not in wanted:
                upload.unlink()


class Jobs:
    """What the service's requests do with the spool; from any thread.

    Args:
        spool: see there.
        limits: of which `queue` is kept.
    """

    def __init__(self, spool: Spool, limits: Limits) -> None:
        self._spool = spool
        self._limits = limits
        self._ledger = Ledger(spool.folder / LEDGER)
        self._lock = threading.Lock()
        self._arriving = 0
        self.added = threading.Event()

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

    def add(self, identity: str, content: str) -> None:
        """Enter an upload that is on disk; from now on it will be answered."""
        guard.sync(self._spool.uploads)
        with self._lock:
            self._ledger.add(identity, content, self._spool.bundle, OPTIONS)
        self.added.set()

    def find(self, identity: str) -> Job | None:
        """A job by its id."""
        with self._lock:
            row = self._row(identity)
            if row is None:
                return None
            state = _STATES[row["state"]]
            if state in ("queued", "running"):
                return Job(identity, state)
            (data,) = outcomes(self._ledger, [row["id"]])
        if state == "failed":
            return Job(identity, state, error=data["error"])
        return Job(identity, state, result=data)

    def page(self, identity: str) -> Path | None:
        """The page of a job that is done."""
        with self._lock:
            row = self._row(identity)
        if row is None or row["state"] != "done":
            return None
        path = self._spool.page(row["content"], row["bundle"])
        return path if path.is_file() else None

    def states(self) -> dict[str, int]:
        """The number of jobs in each of the ledger's states."""
        with self._lock:
            return {str(state): count for state, count in counts(self._ledger).items()}

    def _row(self, identity: str) -> Any:
        if not _ID.match(identity):
            return None
        return self._ledger.run("SELECT * FROM items WHERE source = ?", identity).fetchone()
