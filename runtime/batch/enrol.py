"""Putting a command's scans into the ledger, each with the digest of its bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from runtime.batch.inputs import Source
from runtime.ledger import Ledger
from runtime.ledger.content import content_digest, stat_digest
from runtime.scan import called
from runtime.system.machine import cores

_AHEAD = 64  # scans whose bytes are read at a time, by a few threads


@dataclass(frozen=True)
class Enrolled:
    """One of a command's scans.

    Attributes:
        item: its number in the ledger.
        source: where it is.
        name: its path as text that any file can hold.
        shown: what results and messages call it.
        stat: see `content.stat_digest`; empty if it could not be read.
        content: see `content.content_digest`; None if it could not be read.
    """

    item: int
    source: Source
    name: str
    shown: str
    stat: str
    content: str | None


def enrol(
    ledger: Ledger, sources: Sequence[Source], bundle: str, options: Mapping[str, Any]
) -> Iterator[Enrolled]:
    """The scans in order, as they are entered; a file that the ledger knows is not read again.

    Args:
        ledger: to enter them in.
        sources: by `inputs.expand`.
        bundle: the bundle's digest.
        options: see `Ledger.add`.
    """
    with ThreadPoolExecutor(min(4, cores())) as threads:
        for start in range(0, len(sources), _AHEAD):
            some = sources[start : start + _AHEAD]
            stats = list(threads.map(_stat, some))
            known = [ledger.known(stat) if stat else None for stat in stats]
            fresh = threads.map(
                lambda one: one[2] or (_content(one[0]) if one[1] else None),
                list(zip(some, stats, known, strict=True)),
            )
            for source, stat, content in zip(some, stats, fresh, strict=True):
                name = called(source).encode("utf-8", "backslashreplace").decode()
                item = ledger.add(name, content, bundle, options, stat)
                shown = ledger.shown(item)
                yield Enrolled(item, source, name, shown, stat if content else "", content)


def _stat(source: Source) -> str:
    """Empty for what cannot be read: reading it as a scan says why."""
    try:
        return stat_digest(source)
    except OSError:
        return ""


def _content(source: Source) -> str | None:
    try:
        return content_digest(source)
    except OSError:
        return None
