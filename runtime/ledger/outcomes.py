"""Reading a ledger: its items, and what came of them as plain data."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from fmtool import NOTICE
from fmtool.errors import LedgerError
from runtime.ledger.ledger import STATES, Ledger, State
from runtime.ledger.names import shown

_SELECT = """
SELECT items.*, results.data, results.seconds, results.engine, results.finished, results.version,
    (SELECT sentence FROM errors WHERE item = items.id ORDER BY id DESC LIMIT 1) AS sentence,
    (SELECT at FROM errors WHERE item = items.id ORDER BY id DESC LIMIT 1) AS failed_at,
    (SELECT version FROM errors WHERE item = items.id ORDER BY id DESC LIMIT 1) AS failed_by
FROM items LEFT JOIN results ON results.id = items.result
"""


@dataclass(frozen=True)
class LedgerItem:
    """One item, for people and for JSON.

    Attributes:
        item: its number.
        scan: what it is called, see `names.shown`.
        state: see `ledger.State`.
        attempts: that failed.
        content: SHA-256, or None if it could not be read.
        bundle: the bundle's digest.
        seconds: that its result took, or None.
        engine: that computed it, or None.
        finished: UTC, of its result or of its last failure, or None.
        error: the last sentence, of an item without a result.
        sender: who sent it: an AE title and an address, or an address; "" where nobody did.
    """

    item: int
    scan: str
    state: State
    attempts: int
    content: str | None
    bundle: str
    seconds: float | None
    engine: str | None
    finished: str | None
    error: str | None
    sender: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def counts(ledger: Ledger) -> dict[State, int]:
    """The number of items in each state."""
    rows = ledger.run("SELECT state, count(*) AS n FROM items GROUP BY state").fetchall()
    found = {row["state"]: int(row["n"]) for row in rows}
    return {state: found.get(state, 0) for state in STATES}


def items(ledger: Ledger, state: State | None = None) -> Iterator[LedgerItem]:
    """The items, in the order in which they were first named."""
    which = "" if state is None else " WHERE items.state = ?"
    values = () if state is None else (state,)
    yield from map(_item, ledger.run(f"{_SELECT}{which} ORDER BY items.id", *values))


def find(ledger: Ledger, source: str) -> LedgerItem | None:
    """The item that was named so, in a ledger that keeps names and has it once."""
    row = ledger.run(f"{_SELECT} WHERE items.source = ?", source).fetchone()
    return _item(row) if row else None


def oldest(ledger: Ledger) -> tuple[LedgerItem, str] | None:
    """The item that waits longest, and since when (UTC)."""
    row = ledger.run(
        f"{_SELECT} WHERE items.state = 'waiting' ORDER BY items.added, items.id LIMIT 1"
    ).fetchone()
    return (_item(row), row["added"]) if row else None


def newest(ledger: Ledger, count: int) -> list[tuple[LedgerItem, str]]:
    """The items that were added last, the last first, and since when they are there (UTC)."""
    rows = ledger.run(f"{_SELECT} ORDER BY items.added DESC, items.id DESC LIMIT ?", count)
    return [(_item(row), row["added"]) for row in rows.fetchall()]


def answers(ledger: Ledger) -> set[tuple[str, str]]:
    """The content and the bundle of every item."""
    rows = ledger.run("SELECT DISTINCT content, bundle FROM items").fetchall()
    return {(str(row["content"]), row["bundle"]) for row in rows}


def last_finished(ledger: Ledger) -> str | None:
    """When the last result was computed (UTC)."""
    last: str | None = ledger.run("SELECT max(finished) AS last FROM results").fetchone()["last"]
    return last


def latest(ledger: Ledger, bundle: str, count: int) -> list[dict[str, Any]]:
    """The last few results that a bundle gave, the oldest first, as `Result.to_dict` puts them."""
    rows = ledger.run(
        f"{_SELECT} WHERE items.state = 'done' AND items.bundle = ? "
        "ORDER BY results.finished DESC, results.id DESC LIMIT ?",
        *(bundle, count),
    ).fetchall()
    return [
        {**_result(ledger, row), "scan": shown(row["source"], row["content"], row["id"])}
        for row in reversed(rows)
    ]


def last_errors(ledger: Ledger, count: int) -> list[dict[str, Any]]:
    """The last few sentences, each with how many "times" it was said and when "last" (UTC)."""
    rows = ledger.run(
        "SELECT sentence, count(*) AS times, max(at) AS last FROM errors "
        "GROUP BY sentence ORDER BY last DESC LIMIT ?",
        count,
    ).fetchall()
    return [dict(row) for row in rows]


def outcomes(ledger: Ledger, numbers: Iterable[int] | None = None) -> Iterator[dict[str, Any]]:
    """The result or failure of each item that has one, as `Result` and `Failure` put it.

    Args:
        ledger: to be read.
        numbers: of the items, in the order wanted; all, in the ledger's order, when absent.
    """
    if numbers is None:
        rows: Iterable[sqlite3.Row] = ledger.run(f"{_SELECT} ORDER BY items.id")
    else:
        rows = (ledger.run(f"{_SELECT} WHERE items.id = ?", n).fetchone() for n in numbers)
    for row in rows:
        scan = shown(row["source"], row["content"], row["id"])
        if row["state"] == "done":
            yield {**_result(ledger, row), "scan": scan, "content": row["content"]}
        elif row["state"] in ("failed", "quarantined"):
            yield {
                "scan": scan,
                "error": row["sentence"],
                "finished": row["failed_at"],
                "version": row["failed_by"],
                "notice": NOTICE,
                "content": row["content"],
            }


def _item(row: sqlite3.Row) -> LedgerItem:
    return LedgerItem(
        row["id"],
        shown(row["source"], row["content"], row["id"]),
        row["state"],
        row["attempts"],
        row["content"],
        row["bundle"],
        row["seconds"],
        row["engine"],
        row["finished"] or row["failed_at"],
        row["sentence"] if row["result"] is None else None,
        row["sender"],
    )


def _result(ledger: Ledger, row: sqlite3.Row) -> dict[str, Any]:
    try:
        found = json.loads(row["data"])
        if isinstance(found, dict):
            return found
    except (ValueError, TypeError, RecursionError):
        pass  # told of below
    raise LedgerError(
        f"the ledger {ledger.path} is damaged: the result of item {row['id']} cannot be read; put "
        "the ledger aside, and run the command again"
    )
