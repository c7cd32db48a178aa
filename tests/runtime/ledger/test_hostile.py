"""A ledger that is damaged, or that another program changed: one sentence, whatever is done."""

from __future__ import annotations

import json
import sqlite3

import pytest

from fmtool.errors import LedgerError
from runtime import owner
from runtime.ledger import Ledger
from runtime.ledger.outcomes import outcomes


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
