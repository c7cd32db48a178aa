"""Ledger: what is to be done, by whom it is being done, and what came of it."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from fmtool import __version__
from runtime.clock import stamp, utc
from runtime.ledger import owner
from runtime.ledger.connect import Connection
from runtime.ledger.names import Identifiers, shown, source_name

ATTEMPTS = 3
"""How often an item is tried before a passing cause counts as a lasting one."""

State = Literal["waiting", "running", "done", "failed", "quarantined"]
STATES: tuple[State, ...] = ("waiting", "running", "done", "failed", "quarantined")

Claim = Literal["claimed", "busy", "done", "failed", "quarantined"]
"""Ours now; in another process's hands, as it is or as its twin; or settled."""


class Ledger:
    """One SQLite file, shared by any number of processes of a machine; use it as a context manager.

    An item is one scan to be answered by one bundle under certain options. The same content with
    the same bundle and options is computed once: the items share one result.

    Args:
        path: the file; made if it is absent.
        identifiers: what the items' paths become in it.

    Raises:
        LedgerError: from any use, if the file cannot be read or written, is another program's, or
            a newer version's.
    """

    def __init__(self, path: Path, identifiers: Identifiers = Identifiers.keep) -> None:
        self.path = path
        self.identifiers = identifiers
        self.run = Connection(path)
        self._me = owner.me()
        self._beaten = 0.0
        self.run("INSERT OR IGNORE INTO settings VALUES ('salt', ?)", secrets.token_hex(16))
        self._salt = str(
            self.run("SELECT value FROM settings WHERE name = 'salt'").fetchone()["value"]
        )

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.run.close()

    def known(self, stat: str) -> str | None:
        """The content digest of a file that the file system has described so before."""
        row = self.run(
            "SELECT content FROM items WHERE stat = ? AND content IS NOT NULL LIMIT 1", stat
        ).fetchone()
        return str(row["content"]) if row else None

    def add(
        self,
        source: str,
        content: str | None,
        bundle: str,
        options: Mapping[str, Any],
        stat: str = "",
    ) -> int:
        """The number of the item, which is made if the ledger lacks it.

        Args:
            source: its path as given.
            content: see `content_digest`; None if it cannot be read. Such an item waits again:
                nothing shows whether what was wrong with it still is.
            bundle: the bundle's digest.
            options: what else changes the answer; plain data.
            stat: see `stat_digest`.
        """
        name = source_name(source, self.identifiers, self._salt)
        said = json.dumps(dict(options), sort_keys=True)
        with self.run.transaction():
            row = self.run(
                "SELECT id FROM items WHERE source = ? AND content IS ? AND bundle = ? "
                "AND options = ?",
                *(name, content, bundle, said),
            ).fetchone()
            if row is None:
                cursor = self.run(
                    "INSERT INTO items (source, stat, content, bundle, options, added) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    *(name, stat, content, bundle, said, utc(stamp())[0]),
                )
                return int(cursor.lastrowid or 0)
            number = int(row["id"])
            if content is None:
                self.run(
                    "UPDATE items SET state = 'waiting', attempts = 0 "
                    "WHERE id = ? AND state = 'failed'",
                    number,
                )
            else:
                self.run("UPDATE items SET stat = ? WHERE id = ?", stat, number)
            return number

    def state(self, item: int) -> State:
        """What has become of an item so far."""
        state: State = self._row(item)["state"]
        return state

    def shown(self, item: int) -> str:
        """What an item is called in results and messages."""
        row = self._row(item)
        return shown(row["source"], row["content"], item)

    def claim(self, item: int) -> Claim:
        """Take an item that waits, or whose process is gone; what it is otherwise."""
        with self.run.transaction():
            row = self._row(item)
            if row["state"] in ("done", "failed", "quarantined"):
                settled: Claim = row["state"]
                return settled
            if row["state"] == "running" and owner.lives(row["owner"], row["heartbeat"]):
                return "busy"
            key = (row["content"], row["bundle"], row["options"])
            same = self.run(
                "SELECT id FROM results WHERE content = ? AND bundle = ? AND options = ?", *key
            ).fetchone()
            if same is not None:
                self._settle(item, "done", same["id"])
                return "done"
            twins = self.run(
                "SELECT owner, heartbeat FROM items WHERE content = ? AND bundle = ? "
                "AND options = ? AND state = 'running' AND id <> ?",
                *(*key, item),
            ).fetchall()
            if any(owner.lives(twin["owner"], twin["heartbeat"]) for twin in twins):
                return "busy"
            self.run(
                "UPDATE items SET state = 'running', owner = ?, claimed = ?, heartbeat = ? "
                "WHERE id = ?",
                *(self._me, utc(stamp())[0], time.time(), item),
            )
            return "claimed"

    def finish(self, item: int, data: Mapping[str, Any]) -> bool:
        """Record a claimed item's result; False, and nothing recorded, if the claim was lost.

        Args:
            item: claimed by this process.
            data: `Result.to_dict()` of all tasks.
        """
        at, offset = utc(data["finished"])
        text = json.dumps({**data, "scan": ""}, allow_nan=False)
        with self.run.transaction():
            row = self._mine(item)
            if row is None:
                return False
            key = (row["content"], row["bundle"], row["options"])
            number = self.run(
                "INSERT INTO results (content, bundle, options, data, seconds, engine, version, "
                "finished, utc_offset) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                *(*key, text, data["timings"]["total"], data["engine"], data["version"]),
                *(at, offset),
            ).fetchone()["id"]
            self._settle(item, "done", number)
            return True

    def fail(self, item: int, sentence: str, passing: bool = False) -> State:
        """Record why a claimed item could not be answered, and what state that leaves it in.

        Args:
            item: claimed by this process.
            sentence: without the scan's path, unless identifiers are kept.
            passing: whether another attempt may succeed: there are `ATTEMPTS` of those.
        """
        return self._end(item, "failed", sentence, passing)

    def quarantine(self, item: int, sentence: str) -> State:
        """Record that a claimed item was put aside, and why."""
        return self._end(item, "quarantined", sentence, False)

    def release(self) -> int:
        """Give back all that this process has claimed; the number of items."""
        return self.run(
            "UPDATE items SET state = 'waiting', owner = NULL WHERE owner = ?", self._me
        ).rowcount

    def beat(self) -> None:
        """Say that this process lives, if that was long ago."""
        now = time.time()
        if abs(now - self._beaten) >= owner.BEAT_SECONDS:
            self.run("UPDATE items SET heartbeat = ? WHERE owner = ?", now, self._me)
            self._beaten = now

    def retry(self, states: Iterable[State] = ("failed",)) -> int:
        """Let settled items without a result wait again; the number of items."""
        count = 0
        for state in states:
            count += self.run(
                "UPDATE items SET state = 'waiting', attempts = 0 "
                "WHERE state = ? AND state IN ('failed', 'quarantined')",
                state,
            ).rowcount
        return count

    def vacuum(self) -> None:
        """Fold the write-ahead log into the file, and give unused space back to the disk."""
        self.run("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self.run("VACUUM")
        self.run("PRAGMA optimize").fetchall()

    def _end(self, item: int, state: State, sentence: str, passing: bool) -> State:
        with self.run.transaction():
            row = self._mine(item)
            if row is None:
                lost: State = self._row(item)["state"]
                return lost
            attempt = int(row["attempts"]) + 1
            self.run(
                "INSERT INTO errors (item, attempt, sentence, at, version) VALUES (?, ?, ?, ?, ?)",
                *(item, attempt, sentence, utc(stamp())[0], __version__),
            )
            after: State = "waiting" if passing and attempt < ATTEMPTS else state
            self.run("UPDATE items SET attempts = ? WHERE id = ?", attempt, item)
            self._settle(item, after, None)
            return after

    def _settle(self, item: int, state: State, result: int | None) -> None:
        self.run(
            "UPDATE items SET state = ?, result = ?, owner = NULL WHERE id = ?",
            *(state, result, item),
        )

    def _row(self, item: int) -> sqlite3.Row:
        row: sqlite3.Row | None = self.run("SELECT * FROM items WHERE id = ?", item).fetchone()
        if row is None:
            raise KeyError(f"{self.path} has no item {item}")
        return row

    def _mine(self, item: int) -> sqlite3.Row | None:
        row = self._row(item)
        return row if row["state"] == "running" and row["owner"] == self._me else None
