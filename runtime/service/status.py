"""How a service stands, from its ledger and its disk; it need not be running."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fmtool import __version__
from fmtool.errors import InputError
from runtime.ledger import Ledger
from runtime.ledger.outcomes import counts
from runtime.service.guard import SpaceGuard

LEDGER = "ledger.sqlite"
_ERRORS = 5


def status(folder: Path) -> dict[str, Any]:
    """What a watch's outbox, a service's spool or a batch's folder says, as plain data.

    Returns:
        "folder"; "states" (items in each); "oldest_waiting" (its number, since when, and for how
        many seconds; None if nothing waits); "errors" (the last few sentences, each with how often
        it was said and when last); "last_finished" (UTC, or None); "free_bytes"; "version" and
        "time" (UTC), of who looks.

    Raises:
        InputError: if the folder holds no ledger.
        LedgerError: if it cannot be read.
    """
    path = folder / LEDGER
    if not path.is_file():
        raise InputError(
            f"{folder} holds no {LEDGER}; name the folder of a watch, a service, a node or a batch"
        )
    now = datetime.now(UTC)
    with Ledger(path) as ledger:
        oldest = ledger.run(
            "SELECT id, added FROM items WHERE state = 'waiting' ORDER BY added, id LIMIT 1"
        ).fetchone()
        errors = ledger.run(
            "SELECT sentence, count(*) AS times, max(at) AS last FROM errors "
            "GROUP BY sentence ORDER BY last DESC LIMIT ?",
            _ERRORS,
        ).fetchall()
        finished = ledger.run("SELECT max(finished) AS last FROM results").fetchone()
        states = counts(ledger)
    waiting = None
    if oldest is not None:
        seconds = (now - datetime.fromisoformat(oldest["added"])).total_seconds()
        waiting = {"item": oldest["id"], "added": oldest["added"], "seconds": round(seconds)}
    return {
        "folder": str(folder),
        "states": states,
        "oldest_waiting": waiting,
        "last_finished": finished["last"],
        "errors": [dict(row) for row in errors],
        "free_bytes": SpaceGuard(folder).free(),
        "version": __version__,
        "time": now.isoformat(timespec="seconds"),
    }
