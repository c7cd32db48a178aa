"""A connection to a ledger's file: its settings, its transactions, its errors in one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from fmtool.errors import LedgerError
from runtime.ledger.schema import APPLICATION, STEPS, check


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


_BUSY_MS = 30_000
_SETTINGS = (
    f"PRAGMA busy_timeout = {_BUSY_MS}",
    "PRAGMA journal_mode = WAL",  # readers and the writer do not wait for each other
    # Not NORMAL: with a write-ahead log that may lose the last commits to a power cut, so that a
    # result that was sent on would be computed again. A sync is nothing beside a scan's seconds.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",  # what a file's own triggers and views may call
    "PRAGMA cell_size_check = ON",  # a damaged page is found where it is read
)


class Rows(sqlite3.Cursor):
    """A statement's rows: a damaged file may be noticed as late as these are fetched."""

    said: Callable[[], AbstractContextManager[None]]

    def __next__(self) -> Any:
        """The next row."""
        with self.said():
            return _checked(super().__next__())

    def fetchone(self) -> Any:
        """The next row, or None."""
        with self.said():
            return _checked(super().fetchone())

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        with self.said():
            return [_checked(row) for row in super().fetchall()]


def _checked(row: Any) -> Any:
    if isinstance(row, sqlite3.Row):
        check(row)
    return row


class Connection:
    """SQLite, with transactions that take the write lock at once.

    Raises:
        LedgerError: from any use, if the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.said():
            # A ledger belongs to one thread at a time; a service may hand it from one to another.
            self._sqlite = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._sqlite.row_factory = sqlite3.Row
            try:
                for setting in _SETTINGS:
                    self._sqlite.execute(setting)
                migrate(self._sqlite, path)
            except BaseException:
                self._sqlite.close()
                raise

    def __call__(self, statement: str, *values: object) -> sqlite3.Cursor:
        """Run one statement."""
        with self.said():
            rows = self._sqlite.cursor(Rows)
            rows.said = self.said
            return rows.execute(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block or none of it; no other process writes meanwhile."""
        self("BEGIN IMMEDIATE")
        try:
            yield
            self("COMMIT")
        except BaseException:
            if self._sqlite.in_transaction:  # a full disk has ended it already
                self._sqlite.execute("ROLLBACK")
            raise

    @contextmanager
    def said(self) -> Iterator[None]:
        """Turn SQLite's errors into a `LedgerError`."""
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if isinstance(error, sqlite3.ProgrammingError):
                raise  # a defect of ours
            # Of text that is none SQLite quotes the bytes as they are.
            text = not isinstance(error, UnicodeDecodeError) and "decode" not in str(error)
            what = str(error) if text else "malformed"
            raise LedgerError(f"cannot use the ledger {self.path} ({what}); {_remedy(what)}") from (
                error
            )

    def close(self) -> None:
        """Close the file; the last one to do so folds the write-ahead log into it."""
        self._sqlite.close()


def _remedy(what: str) -> str:
    if "full" in what:
        return "free some space and run the command again: what is done is kept"
    if "locked" in what:
        return "another process holds it: run the command again once that has ended"
    if any(word in what for word in ("not a database", "malformed", "constraint")):
        return "it is damaged: put it aside, or restore it, and run the command again"
    return "name a folder on a local disk that you may write to"
