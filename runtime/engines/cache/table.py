"""The engine cache's contents as a table for people."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from runtime.engines.cache.inventory import CachedEngine
from runtime.engines.cache.key import NAMES

_COLUMNS = ("bundle", "digest", "library", "target", "precision", "batches", "MB", "used", "state")


def render(items: Sequence[CachedEngine]) -> Table:
    """A row per engine."""
    table = Table(*_COLUMNS)
    for item in items:
        table.add_row(*map(Text, _row(item)))
    return table


def _row(item: CachedEngine) -> list[str]:
    key = item.key
    state = item.reason if item.reason.startswith(item.state) else item.state
    if item.reason and state == item.state:
        state = f"{item.state}: {item.reason}"
    last = [f"{item.bytes / 1e6:.1f}", _ago(time.time() - item.used), state]
    if key is None:
        return ["-", item.path.parent.name[:12], item.path.name, "-", "-", "-", *last]
    target = f"{key.target}, {key.gpu}" if key.gpu else key.target
    library = f"{NAMES[key.library]} {key.version}"
    batches = ",".join(map(str, key.batches))
    digest = key.bundle[:12]
    return [item.bundle or "-", digest, library, target, key.precision, batches, *last]


def _ago(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit} ago"
    return "just now"
