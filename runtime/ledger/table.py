"""A ledger's items as a table for a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from fmtool.errors import shown
from runtime.ledger.outcomes import LedgerItem

_STYLES = {"done": "green", "failed": "red", "quarantined": "red", "running": "yellow"}


def render(items: Iterable[LedgerItem]) -> Table:
    """One row per item: its number, scan, state, when that was reached, the seconds, the reason."""
    table = Table("item", "scan", "state", "finished (UTC)", "seconds", "why")
    for item in items:
        table.add_row(
            Text(str(item.item)),
            Text(shown(item.scan)),
            Text(item.state, _STYLES.get(item.state, "")),
            Text((item.finished or "-")[:19]),
            Text("-" if item.seconds is None else f"{item.seconds:.1f}"),
            Text(shown(item.error or "")),
        )
    return table
