"""A ledger that is damaged, or was made to hurt: all that is done with one."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.fuzz.entry import Entry
from runtime.ledger import Ledger
from runtime.ledger.outcomes import counts, items, outcomes
from runtime.ledger.table import render

_RESULT = {"values": {}, "engine": "none", "timings": {"total": 1.0}, "version": "0"}
_FINISHED = {"finished": "2026-01-01T00:00:00.000+00:00"}


def _trial(data: bytes, folder: Path) -> None:
    file = folder / "ledger.sqlite"
    file.write_bytes(data)
    with Ledger(file) as ledger:
        counts(ledger)
        render(items(ledger))
        json.dumps(list(outcomes(ledger)))
        number = ledger.add("new.nii.gz", "ab" * 32, "cd" * 32, {}, "stat")
        ledger.known("stat")
        ledger.shown(number)
        ledger.claim(number)
        ledger.retry(("failed", "quarantined"))
        ledger.vacuum()


def _seeds() -> list[bytes]:
    with TemporaryDirectory() as scratch:
        file = Path(scratch) / "ledger.sqlite"
        with Ledger(file) as ledger:
            for number in range(3):
                ledger.add(f"s{number}.nii.gz", f"{number}" * 64, "b" * 64, {}, f"stat{number}")
        plain = file.read_bytes()
        with sqlite3.connect(file) as raw:
            _fill(raw)
        raw.close()
        filled = file.read_bytes()
        with sqlite3.connect(file) as raw:
            raw.execute("CREATE TRIGGER t AFTER UPDATE ON items BEGIN DELETE FROM results; END")
        raw.close()
        return [plain, filled, file.read_bytes()]


def _fill(raw: sqlite3.Connection) -> None:
    data = json.dumps({**_RESULT, **_FINISHED})
    raw.execute(
        "INSERT INTO results VALUES (1, ?, ?, '{}', ?, 1.5, 'none', '0', 'now', '+00:00')",
        ("0" * 64, "b" * 64, data),
    )
    raw.execute("UPDATE items SET state = 'done', result = 1 WHERE id = 1")
    raw.execute("UPDATE items SET state = 'failed', attempts = 3 WHERE id = 2")
    raw.execute("INSERT INTO errors VALUES (1, 2, 3, 'it is damaged', 'now', '0')")
    raw.execute(
        "UPDATE items SET state = 'running', owner = 'host/boot/ns|1|2', heartbeat = 1.0 "
        "WHERE id = 3"
    )


ENTRY = Entry(_seeds, _trial, (b"SQLite format 3\0", b"CREATE VIEW", b"{", b"|", b"\0", b"FMTL"))
