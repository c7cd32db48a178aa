"""`fmtool watch` put together: folders checked, the ledger opened, the process started."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fmtool.errors import InputError, UsageError
from runtime.ledger import FILE, Identifiers, Ledger
from runtime.report.publish import check_writable
from runtime.service.alone import alone
from runtime.service.ending import Ending
from runtime.service.guard import SpaceGuard
from runtime.service.log import tell
from runtime.service.loop import SHORT, AnswerLoop
from runtime.service.watch.front import WatchFront, WatchSettings, logger
from runtime.service.watch.outbox import Outbox
from runtime.service.worker import OrderWorker
from runtime.system.private import own, unshared


def watch(
    settings: WatchSettings,
    out: Path,
    make: Callable[[], OrderWorker],
    ending: Ending,
    min_free_bytes: int,
    identifiers: Identifiers = Identifiers.drop,
) -> Counter[str]:
    """Watch until the end; how many items were "answered", "quarantined" and "left".

    Args:
        settings: see there.
        out: the outbox; made if it is absent.
        make: starts what answers, once the folders are known to be good.
        ending: when to stop.
        min_free_bytes: of the outbox's disk; below it nothing is begun.
        identifiers: what the ledger keeps of the items' names.

    Raises:
        UsageError: if one folder lies in the other.
        InputError: if a folder cannot be used, or another watch uses the outbox.
        FmtoolError: if the bundle cannot be loaded.
    """
    check(settings.inbox, out)
    with unshared(), alone(out, "watch"), Ledger(out / FILE, identifiers) as ledger:
        worker = make()
        try:
            digest = partial(worker.digest, give_up=ending.give_up)
            front = WatchFront(settings, Outbox(out), identifiers, digest)
            loop = AnswerLoop(front, ledger, worker, SpaceGuard(out, min_free_bytes), ending)
            about = worker.about
            tell(logger, "started", bundle=about.digest[:SHORT], engine=about.engine)
            loop.run()
        finally:
            worker.close()
    counts = loop.counts
    if front.stuck:
        counts["left"] = len(front.stuck)
    tell(logger, "ended", **counts)
    return counts


def check(inbox: Path, out: Path) -> None:
    """Refuse folders that cannot serve.

    Raises:
        UsageError: if one lies in the other.
        InputError: if the inbox is no folder, or one of them cannot be written.
    """
    here, there = inbox.resolve(), out.resolve()
    if here.is_relative_to(there) or there.is_relative_to(here):
        raise UsageError(f"{inbox} and {out} must not lie in each other; name two folders")
    if not inbox.is_dir():
        raise InputError(f"{inbox} is not a folder; make it, or name the one to watch")
    check_writable(inbox)  # scans are moved out of it
    if own(out, FILE):
        tell(logger, "folder_closed", logging.WARNING, why="others could read it")
    check_writable(out)
