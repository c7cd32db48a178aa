"""What the ledger's columns hold; a damaged file may have anything in any of them.

SQLite checks types and constraints as values are written, and reads whatever there is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from runtime.ledger.states import STATES

_TEXT, _WHOLE, _NUMBER = (str,), (int,), (int, float)
_NOTHING = type(None)

_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("source", "stat", "bundle", "options", "state", "added", "value"), _TEXT),
    **dict.fromkeys(("id", "attempts", "n"), _WHOLE),
    # Of a scan that could not be read, is not running, or has no result or no failure:
    **dict.fromkeys(("content", "owner", "claimed"), (*_TEXT, _NOTHING)),
    **dict.fromkeys(("data", "engine", "version", "finished"), (*_TEXT, _NOTHING)),
    **dict.fromkeys(("sentence", "failed_at", "failed_by"), (*_TEXT, _NOTHING)),
    "result": (*_WHOLE, _NOTHING),
    **dict.fromkeys(("heartbeat", "seconds"), (*_NUMBER, _NOTHING)),
}


def check(row: sqlite3.Row) -> None:
    """Refuse a row that has a value of a kind that its column cannot have.

    Raises:
        sqlite3.DatabaseError: as SQLite would, had it looked.
    """
    for name in row.keys():  # noqa: SIM118 (a row is no dict: its iterator gives values)
        kinds = _KINDS.get(name)
        if kinds is None:
            continue
        value = row[name]
        if not isinstance(value, kinds) or (name == "state" and value not in STATES):
            raise sqlite3.DatabaseError(f"a malformed value of {name}")
