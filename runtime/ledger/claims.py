"""Claims: an item belongs to one process at a time, and what comes of it is recorded once."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from fmtool import __version__
from runtime.ledger.connect import Connection
from runtime.ledger.schema import ATTEMPTS, Claim, State
from runtime.system import owner
from runtime.system.clock import stamp, utc

_LOST = "what answered it was ended from outside, or by it; it may take more memory than there is"


class Claims:
    """The part of a ledger that hands out items and takes in what came of them.

    Args:
        connection: to the ledger's file.
    """

    def __init__(self, connection: Connection) -> None:
        self.run = connection
        self._me = owner.me()
        self._beaten = 0.0

    def state(self, item: int) -> State:
        """What has become of an item so far."""
        state: State = self._row(item)["state"]
        return state

    def attempts(self, item: int) -> int:
        """How often an item failed."""
        return int(self._row(item)["attempts"])

    def claim(self, item: int, lost: bool = False, anew: bool = False) -> Claim:
        """Take an item that waits, or whose process is gone; what it is otherwise.

        Args:
            item: its number.
            lost: whether to note that an item's process is gone: what ends each that reads it is
                tried `ATTEMPTS` times, and is "failed" then.
            anew: although it, or a twin of it, has a result: what was made beside that is lost.
        """
        with self.run.transaction():
            row = self._row(item)
            if row["state"] in ("failed", "quarantined") or (row["state"] == "done" and not anew):
                settled: Claim = row["state"]
                return settled
            if row["state"] == "running" and owner.lives(row["owner"], row["heartbeat"]):
                return "busy"
            if row["state"] == "running" and lost and self.give_up(row):
                return "failed"
            key = (row["content"], row["bundle"], row["options"])
            same = self.run(
                "SELECT id FROM results WHERE content = ? AND bundle = ? AND options = ?", *key
            ).fetchone()
            if same is not None and not anew:
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
                "UPDATE items SET state = 'running', owner = ?, claimed = ?, heartbeat = ?, "
                "result = CASE state WHEN 'done' THEN NULL ELSE result END WHERE id = ?",
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
                "finished, utc_offset) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
                # A twin's process that was taken for dead may have been quicker.
                "ON CONFLICT (content, bundle, options) DO UPDATE SET id = id RETURNING id",
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

    def _end(self, item: int, state: State, sentence: str, passing: bool) -> State:
        with self.run.transaction():
            row = self._mine(item)
            if row is None:
                lost: State = self._row(item)["state"]
                return lost
            attempt = int(row["attempts"]) + 1
            self._note(item, attempt, sentence)
            after: State = "waiting" if passing and attempt < ATTEMPTS else state
            self.run("UPDATE items SET attempts = ? WHERE id = ?", attempt, item)
            self._settle(item, after, None)
            return after

    def give_up(self, row: sqlite3.Row) -> bool:
        """Note that an item's process is gone; whether it has failed by that, `ATTEMPTS` times."""
        self._note(row["id"], row["attempts"], _LOST)
        said = "SELECT count(*) AS n FROM errors WHERE item = ? AND sentence = ?"
        failed = int(self.run(said, row["id"], _LOST).fetchone()["n"]) >= ATTEMPTS
        if failed:
            self._settle(row["id"], "failed", None)
        return failed

    def _note(self, item: int, attempt: int, sentence: str) -> None:
        self.run(
            "INSERT INTO errors (item, attempt, sentence, at, version) VALUES (?, ?, ?, ?, ?)",
            *(item, attempt, sentence, utc(stamp())[0], __version__),
        )

    def _settle(self, item: int, state: State, result: int | None) -> None:
        self.run(
            "UPDATE items SET state = ?, result = ?, owner = NULL WHERE id = ?",
            *(state, result, item),
        )

    def _row(self, item: int) -> sqlite3.Row:
        row: sqlite3.Row | None = self.run("SELECT * FROM items WHERE id = ?", item).fetchone()
        if row is None:
            raise KeyError(f"{self.run.path} has no item {item}")
        return row

    def _mine(self, item: int) -> sqlite3.Row | None:
        row = self._row(item)
        return row if row["state"] == "running" and row["owner"] == self._me else None
