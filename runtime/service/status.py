"""How a service stands, from its ledger and its disk; it need not be running."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fmtool import __version__
from fmtool.errors import InputError
from runtime.ledger import FILE, Ledger
from runtime.ledger.drifting import Truths, drifting
from runtime.ledger.outcomes import counts, last_errors, last_finished, oldest
from runtime.service.guard import SpaceGuard

_ERRORS = 5


def status(folder: Path, truths: Truths | None = None) -> dict[str, Any]:
    """What a watch's outbox, a service's spool or a batch's folder says, as plain data.

    Args:
        folder: of the ledger.
        truths: labels that came later, of one task.

    Returns:
        "folder"; "states" (items in each); "drift" (of the last answers from the site's
        calibration: "answers", "drifted", "score", "sentence"; None where that cannot be told);
        "oldest_waiting" (its number, since when, and for how many seconds; None if nothing waits);
        "errors" (the last few sentences, each with how often it was said and when last);
        "last_finished" (UTC, or None); "free_bytes"; "version" and "time" (UTC), of who looks.

    Raises:
        InputError: if the folder holds no ledger.
        LedgerError: if it cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        raise InputError(
            f"{folder} holds no {FILE}; name the folder of a watch, a service, a node or a batch"
        )
    now = datetime.now(UTC)
    with Ledger(path) as ledger:
        longest, errors = oldest(ledger), last_errors(ledger, _ERRORS)
        finished, states = last_finished(ledger), counts(ledger)
        drift = drifting(ledger, truths)
    waiting = None
    if longest is not None:
        item, added = longest
        seconds = (now - datetime.fromisoformat(added)).total_seconds()
        waiting = {"item": item.item, "added": added, "seconds": round(seconds)}
    return {
        "folder": str(folder),
        "states": states,
        "oldest_waiting": waiting,
        "last_finished": finished,
        "errors": errors,
        "drift": drift and {**asdict(drift), "sentence": drift.sentence()},
        "free_bytes": SpaceGuard(folder).free(),
        "version": __version__,
        "time": now.isoformat(timespec="seconds"),
    }
