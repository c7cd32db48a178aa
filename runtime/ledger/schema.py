"""The ledger's tables, as the steps that lead from an empty file to the newest version.

A step that was released is never edited: a change of the tables is one more step.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Literal

ATTEMPTS = 3
"""How often an item is tried before a passing cause counts as a lasting one."""

State = Literal["waiting", "running", "done", "failed", "quarantined"]
STATES: tuple[State, ...] = ("waiting", "running", "done", "failed", "quarantined")

Claim = Literal["claimed", "busy", "done", "failed", "quarantined"]
"""Ours now; in another process's hands, as it is or as its twin; or settled."""


APPLICATION = 0x464D544C
"""SQLite's `application_id` of a ledger: "FMTL"."""

_FIRST = """
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE results (
    id INTEGER PRIMARY KEY,
    content TEXT,                 -- SHA-256; NULL if it could not be read beforehand
    bundle TEXT NOT NULL,         -- the bundle's digest
    options TEXT NOT NULL,        -- what else changes the answer, as JSON
    data TEXT NOT NULL,           -- the result as JSON, all tasks, without the scan's name
    seconds REAL NOT NULL,
    engine TEXT NOT NULL,
    version TEXT NOT NULL,        -- of fmtool
    finished TEXT NOT NULL,       -- UTC
    utc_offset TEXT NOT NULL,     -- of the clock that said so
    UNIQUE (content, bundle, options)
) STRICT;

CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,         -- as given, or hashed, or empty
    stat TEXT NOT NULL,           -- what the file system said when `content` was computed
    content TEXT,
    bundle TEXT NOT NULL,
    options TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'running', 'done', 'failed', 'quarantined')),
    attempts INTEGER NOT NULL DEFAULT 0,
    owner TEXT,                   -- the process that has it
    claimed TEXT,                 -- UTC
    heartbeat REAL,               -- seconds since 1970
    result INTEGER REFERENCES results (id),
    added TEXT NOT NULL,          -- UTC
    CHECK ((state = 'running') = (owner IS NOT NULL)),
    CHECK ((state = 'done') = (result IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX items_once ON items (source, content, bundle, options);
CREATE INDEX items_by_content ON items (content, bundle, options);
CREATE INDEX items_by_state ON items (state);
CREATE INDEX items_by_stat ON items (stat);

CREATE TABLE errors (
    id INTEGER PRIMARY KEY,
    item INTEGER NOT NULL REFERENCES items (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    sentence TEXT NOT NULL,
    at TEXT NOT NULL,             -- UTC
    version TEXT NOT NULL
) STRICT;
CREATE INDEX errors_by_item ON errors (item);
"""

_SENDER = """
ALTER TABLE items ADD COLUMN sender TEXT NOT NULL DEFAULT '';  -- who sent it: an address, a title
"""

STEPS: tuple[str, ...] = (_FIRST, _SENDER)
"""Step n leads from version n to n + 1."""


_TEXT, _WHOLE, _NUMBER = (str,), (int,), (int, float)
_NOTHING = type(None)

_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(
        ("source", "stat", "bundle", "options", "state", "added", "value", "sender"), _TEXT
    ),
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
