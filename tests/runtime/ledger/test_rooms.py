"""SQL, and the name of a ledger's file, stand in the ledger's room alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[3]
ROOM = TOP / "runtime" / "ledger"

SQL = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|"
    r"CREATE\s+(UNIQUE\s+)?(TABLE|INDEX|TRIGGER)|PRAGMA|VACUUM)\b|\bsqlite3\b|\bledger\.run\(\s*f?[\"']",
    re.DOTALL,
)
NAME = re.compile(r"[\"']ledger\.sqlite")


def product():
    for package in ("fmtool", "runtime", "training", "export"):
        yield from (TOP / package).rglob("*.py")


@pytest.mark.parametrize(
    "line",
    [
        'ledger.run("SELECT * FROM items WHERE state = ?", state)',
        "import sqlite3",
        '"DELETE FROM results"',
        '"UPDATE items SET state"',
        'connection.execute("PRAGMA integrity_check")',
    ],
)
def test_what_is_looked_for_is_found(line):
    assert SQL.search(line)


def test_sql_stands_in_the_ledgers_room_alone():
    found = [f for f in product() if SQL.search(f.read_text(encoding="utf-8"))]
    assert found
    assert not [str(f.relative_to(TOP)) for f in found if not f.is_relative_to(ROOM)]


def test_the_file_is_named_once():
    files = [*product(), *(TOP / "benchmarks" / "soak").rglob("*.py")]
    times = {f: len(NAME.findall(f.read_text(encoding="utf-8"))) for f in files}
    assert {f.relative_to(TOP).as_posix(): n for f, n in times.items() if n} == {
        "runtime/ledger/names.py": 1
    }
