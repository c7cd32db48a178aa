"""Bringing a ledger's tables to the newest version: all the steps, or none."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from fmtool.errors import LedgerError
from runtime.ledger.schema import APPLICATION, STEPS


def migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[str] = STEPS) -> int:
    """Run the steps that the file lacks; the version it then has.

    Several processes may do so at once: the first one does it, the others find it done.

    Args:
        connection: in autocommit mode.
        path: of the file, for the messages.
        steps: see `STEPS`.

    Raises:
        LedgerError: if the file belongs to another program, or to a newer fmtool.
    """
    if _version(connection, path, len(steps)) == len(steps):
        _check_tables(connection, path, tuple(steps))
        return len(steps)
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection, path, len(steps))
        for number, script in enumerate(steps[version:], version + 1):
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return len(steps)


def _version(connection: sqlite3.Connection, path: Path, newest: int) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    owner = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if tables and owner != APPLICATION:
        raise LedgerError(f"{path} is a database of another program; name another folder")
    if version > newest:
        raise LedgerError(
            f"{path} has ledger version {version}; this fmtool reads up to {newest}: use the newer "
            "fmtool that wrote it"
        )
    return version


def _check_tables(connection: sqlite3.Connection, path: Path, steps: tuple[str, ...]) -> None:
    """Refuse a file with tables, views or triggers of its own: what they do is not ours."""
    if _tables(connection) != _made_by(steps):
        raise LedgerError(
            f"{path} has other tables than a ledger's: it is damaged or another program changed "
            "it; put it aside, and run the command again"
        )


@cache
def _made_by(steps: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    connection = sqlite3.connect(":memory:")
    try:
        for script in steps:
            connection.executescript(script)
        return _tables(connection)
    finally:
        connection.close()


def _tables(connection: sqlite3.Connection) -> frozenset[tuple[str, ...]]:
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
    found = (tuple(map(str, row)) for row in rows)
    return frozenset(row for row in found if not row[1].startswith("sqlite_"))  # SQLite's own


def _statements(script: str) -> list[str]:
    """`executescript` would commit what `BEGIN` holds together, so the statements go one by one."""
    found, start = [], 0
    for end, letter in enumerate(script, 1):
        if letter == ";" and sqlite3.complete_statement(script[start:end]):
            found.append(script[start:end])
            start = end
    return found
