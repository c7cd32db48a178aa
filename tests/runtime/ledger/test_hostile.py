"""A ledger that is damaged, or that another program changed: one sentence, whatever is done."""

from __future__ import annotations

import json
import sqlite3
import struct

import pytest

from fmtool.errors import LedgerError
from runtime.ledger import Ledger
from runtime.ledger.outcomes import counts, items, outcomes
from runtime.system import owner


@pytest.fixture
def changed(tmp_path):
    """A ledger of one item that is done, after SQL by somebody else."""
    file = tmp_path / "ledger.sqlite"
    with Ledger(file) as ledger:
        number = ledger.add("a.nii.gz", "a" * 64, "b" * 64, {})
        ledger.claim(number)
        result = {"finished": "2026-01-01T00:00:00.000+00:00", "timings": {"total": 1.0}}
        ledger.finish(number, {**result, "engine": "none", "version": "0"})

    def change(script):
        raw = sqlite3.connect(file)
        raw.executescript(script)
        raw.close()
        return file

    return change


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TRIGGER t AFTER UPDATE ON items BEGIN DELETE FROM results; END",
        "CREATE VIEW v AS SELECT * FROM items",
        "ALTER TABLE items ADD COLUMN more TEXT",
        "DROP INDEX items_once",
    ],
)
def test_tables_of_its_own_are_refused(changed, script):
    with pytest.raises(LedgerError, match="other tables"):
        Ledger(changed(script))


def test_a_schema_that_is_not_text(changed):
    file = changed("VACUUM")
    file.write_bytes(file.read_bytes().replace(b"CREATE TABLE items", b"CREATE TABLE \xf4tem("))
    with pytest.raises(LedgerError, match=r"malformed.*damaged"):
        Ledger(file)


def _read(file):
    with Ledger(file) as ledger:
        counts(ledger)
        list(items(ledger))


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE items SET state = CAST(x'64ff65' AS TEXT)",
        "UPDATE items SET bundle = CAST(x'64ff65' AS TEXT)",
    ],
)
def test_values_that_are_not_what_their_column_holds(changed, script):
    file = changed(f"PRAGMA ignore_check_constraints = ON; {script}")
    with pytest.raises(LedgerError, match="it is damaged") as error:
        _read(file)
    assert str(error.value).isprintable()


def test_seconds_that_are_no_number(changed):
    file = changed("UPDATE results SET seconds = 77.5; VACUUM")
    raw = bytearray(file.read_bytes())
    value = raw.index(struct.pack(">d", 77.5))
    content = raw.rindex(b"a" * 64, 0, value)
    kinds = raw[content - 20 : content]  # of the row's columns
    assert kinds.count(7) == 1  # a float; 29 is text of as many bytes
    raw[content - 20 + kinds.index(7)] = 29
    raw[value : value + 8] = b"tomorrow"
    file.write_bytes(raw)
    with pytest.raises(LedgerError, match=r"a malformed value of seconds.*damaged"):
        _read(file)


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("SELECT NULL AS state", "state"),
        ("SELECT 'finished' AS state", "state"),
        ("SELECT x'00' AS source", "source"),
        ("SELECT 1.5 AS id", "id"),
        ("SELECT 3 AS content", "content"),
        ("SELECT 'soon' AS heartbeat", "heartbeat"),
    ],
)
def test_a_value_of_another_kind_is_refused_however_it_is_fetched(changed, statement, name):
    with Ledger(changed("")) as ledger:
        for fetch in (lambda rows: rows.fetchone(), lambda rows: rows.fetchall(), list):
            with pytest.raises(LedgerError, match=rf"a malformed value of {name}\); it is damaged"):
                fetch(ledger.run(statement))


def test_a_page_that_is_damaged_is_told_of_when_its_rows_are_read(tmp_path):
    file = tmp_path / "ledger.sqlite"
    with Ledger(file) as ledger:
        for number in range(300):
            ledger.add(f"{number}.nii.gz", f"{number:064}", "b" * 64, {})
        ledger.vacuum()
    raw = bytearray(file.read_bytes())
    page = raw.index(b"0299bbbb") // 4096 * 4096
    raw[page : page + 64] = b"\xff" * 64
    file.write_bytes(raw)
    with pytest.raises(LedgerError, match="it is damaged"), Ledger(file) as ledger:
        list(items(ledger))


def test_what_sqlite_itself_adds_is_fine(changed):
    with Ledger(changed("ANALYZE")) as ledger:
        assert len(list(outcomes(ledger))) == 1


@pytest.mark.parametrize("data", ["{", "[]", "3", "", "[" * 100_000])
def test_a_result_that_is_none(changed, data):
    with (
        Ledger(changed(f"UPDATE results SET data = '{data}'")) as ledger,
        pytest.raises(LedgerError, match="result of item 1 cannot be read"),
    ):
        list(outcomes(ledger))


def test_rows_that_contradict_each_other(changed):
    file = changed(
        "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;"
        "UPDATE items SET state = 'waiting', content = 'c', result = 77"
    )
    with Ledger(file) as ledger, pytest.raises(LedgerError, match="damaged"):
        ledger.claim(1)


@pytest.mark.parametrize(
    "name", ["", "x", "||", "a|b|c", "{place}|x|1", "{place}|" + "9" * 99 + "|1"]
)
def test_an_owner_that_no_process_called_itself(name):
    assert owner.lives(name.format(place=owner.me().rsplit("|", 2)[0]), None) is False


def test_a_result_is_still_json(changed):
    with Ledger(changed("")) as ledger:
        assert json.loads(json.dumps(next(outcomes(ledger))))["engine"] == "none"
