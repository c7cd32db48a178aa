"""Log events that repeat: the first ones of a minute are written, the others are counted."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

FACTS = "fmtool_facts"
"""The attribute of a log record that holds an event's facts."""

FIRST = 10
WINDOW_S = 60.0
_MOST_KINDS, _MOST_PEERS = 200, 8
_OF_ONE = frozenset({"item", "series", "job", "document"})  # as many as were stored, and no more
_SAME = ("why", "kind", "exception", "status", "method", "aet", "where", "errno")


@dataclass
class _Window:
    """A minute of one kind of event."""

    since: float
    record: logging.LogRecord
    count: int = 0
    peers: Counter[str] = field(default_factory=Counter)


class Repeats:
    """Lets through what a log should hold of each kind of event; for any thread.

    What names an input is let through always. Two records are of one kind if their event and their
    reason are the same, whoever caused them; a line `repeated` tells how many more there were, and
    of which addresses most.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[tuple[Any, ...], _Window] = {}

    def of(self, record: logging.LogRecord) -> list[logging.LogRecord]:
        """What is to be written now: the record, or not, after what was counted until now."""
        now, facts = self._clock(), getattr(record, FACTS, {})
        with self._lock:
            told = self._over(now - WINDOW_S)
            if _OF_ONE & facts.keys():
                return [*told, record]
            what = record.msg if facts else f"{record.pathname}:{record.lineno}"
            kind = (record.name, what, *(str(facts.get(name)) for name in _SAME))
            if kind not in self._windows and len(self._windows) >= _MOST_KINDS:
                kind = ()
            window = self._windows.setdefault(kind, _Window(now, record))
            window.count += 1
            if window.count <= FIRST:
                return [*told, record]
            peer = str(facts.get("peer", ""))
            if peer and (peer in window.peers or len(window.peers) < _MOST_PEERS):
                window.peers[peer] += 1
            return told

    def rest(self) -> list[logging.LogRecord]:
        """What was counted and not yet told."""
        with self._lock:
            return self._over(float("inf"))

    def _over(self, oldest: float) -> list[logging.LogRecord]:
        over = [kind for kind, window in self._windows.items() if window.since <= oldest]
        windows = [self._windows.pop(kind) for kind in over]
        return [_told(window) for window in windows if window.count > FIRST]


def _told(window: _Window) -> logging.LogRecord:
    """How often an event came again, as a record of its own."""
    first = window.record
    facts = {k: v for k, v in getattr(first, FACTS, {}).items() if k in _SAME}
    said = {"of": first.msg if facts else first.name, **facts, "times": window.count - FIRST}
    if window.peers:
        said["peers"] = dict(window.peers.most_common())
    record = logging.LogRecord(
        first.name, first.levelno, first.pathname, first.lineno, "repeated", (), None
    )
    setattr(record, FACTS, said)
    return record
