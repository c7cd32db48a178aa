"""The ledger's file: versions, settings, other programs' files, a full disk."""

from __future__ import annotations

import sqlite3

import pytest

from fmtool.errors import LedgerError
from runtime.ledger import Ledger
from runtime.ledger.connect import migrate
from runtime.ledger.schema import APPLICATION, STEPS


def raw(path):
    return sqlite3.connect(path, isolation_level=None)


def test_an_empty_file_becomes_a_ledger(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.touch()
    with Ledger(path) as ledger:
        ledger.add("a", "c", "b", {})
    connection = raw(path)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(STEPS)
    assert connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION


def test_the_settings_are_on(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        said = {
            name: ledger.run(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
        with pytest.raises(LedgerError, match="FOREIGN KEY"):  # there is no item 99
            ledger.run("INSERT INTO errors VALUES (1, 99, 1, '', '', '')")
    assert said == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": 2,
        "busy_timeout": 30_000,
    }


def test_an_older_file_takes_the_steps_it_lacks_and_keeps_its_rows(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        item = ledger.add("a", "c", "b", {})
    connection = raw(path)
    more = (*STEPS, "ALTER TABLE items ADD COLUMN note TEXT; CREATE INDEX notes ON items (note);")
    assert migrate(connection, path, more) == len(more)
    assert migrate(connection, path, more) == len(more)
    row = connection.execute("SELECT id, source, note FROM items").fetchone()
    assert row == (item, "a", None)


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "ledger.sqlite"
    Ledger(path).run.close()
    connection = raw(path)
    broken = (*STEPS, "CREATE TABLE half (x); CREATE TABLE half (x);")
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, path, broken)
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(STEPS)
    assert not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'half'").fetchone()


def test_a_newer_file_is_refused(tmp_path):
    path = tmp_path / "ledger.sqlite"
    Ledger(path).run.close()
    raw(path).execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    with pytest.raises(LedgerError, match="newer"):
        Ledger(path)


def test_another_program_s_file_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "ledger.sqlite"
    raw(path).execute("CREATE TABLE patients (name)")
    with pytest.raises(LedgerError, match="another program"):
        Ledger(path)
    names = raw(path).execute("SELECT name FROM sqlite_schema").fetchall()
    assert names == [("patients",)]


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.write_text("this is not a database, however long one looks at it" * 50)
    with pytest.raises(LedgerError, match="not a database"):
        Ledger(path)


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        pages = ledger.run("PRAGMA page_count").fetchone()[0]
        ledger.run(f"PRAGMA max_page_count = {pages + 2}")
        added: list[int] = []
        with pytest.raises(LedgerError, match="free some space"):
            added.extend(ledger.add(f"{n:02000}", f"{n}", "b", {}) for n in range(1000))
        ledger.run("PRAGMA max_page_count = 100000")
        assert added
        assert ledger.run("SELECT count(*) FROM items").fetchone()[0] == len(added)
        ledger.add("one more", "c", "b", {})
