"""Ledger: what is to be done, by whom it is being done, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from runtime.ledger.claims import Claims
from runtime.ledger.connect import Connection
from runtime.ledger.names import Identifiers, shown, site_key, source_name
from runtime.ledger.schema import ATTEMPTS, STATES, State
from runtime.system.clock import stamp, utc

__all__ = ["ATTEMPTS", "STATES", "Ledger", "State"]


class Ledger(Claims):
    """One SQLite file, shared by any number of processes of a machine; use it as a context manager.

    An item is one scan to be answered by one bundle under certain options. The same content with
    the same bundle and options is computed once: the items share one result.

    Args:
        path: the file; made if it is absent.
        identifiers: what the items' paths become in it.

    Raises:
        LedgerError: from any use, if the file cannot be read or written, is another program's, or
            a newer version's.
        InputError: if names are to be hashed and there is no key; see `names.site_key`.
    """

    def __init__(self, path: Path, identifiers: Identifiers = Identifiers.keep) -> None:
        key = site_key() if identifiers == Identifiers.hash else b""
        super().__init__(Connection(path))
        self.path = path
        self.identifiers = identifiers
        self._key = key

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.run.close()

    def keep(self, name: str, value: str) -> None:
        """Have a setting, in the place of an older one of its name."""
        self.run("INSERT OR REPLACE INTO settings VALUES (?, ?)", name, value)

    def kept(self, name: str) -> str | None:
        """A setting; None if there is none."""
        row = self.run("SELECT value FROM settings WHERE name = ?", name).fetchone()
        return str(row["value"]) if row else None

    def known(self, stat: str) -> str | None:
        """The content digest of a file that the file system has described so before."""
        row = self.run(
            "SELECT content FROM items WHERE stat = ? AND content IS NOT NULL LIMIT 1", stat
        ).fetchone()
        return str(row["content"]) if row else None

    def add(
        self,
        source: str,
        content: str | None,
        bundle: str,
        options: Mapping[str, Any],
        stat: str = "",
        sender: str = "",
    ) -> int:
        """The number of the item, which is made if the ledger lacks it.

        Args:
            source: its path as given.
            content: see `content_digest`; None if it cannot be read. Such an item waits again:
                nothing shows whether what was wrong with it still is.
            bundle: the bundle's digest.
            options: what else changes the answer; plain data.
            stat: see `stat_digest`.
            sender: who sent it, where that is known; no patient's name.
        """
        name = source_name(source, self.identifiers, self._key)
        said = json.dumps(dict(options), sort_keys=True)
        with self.run.transaction():
            row = self.run(
                "SELECT id FROM items WHERE source = ? AND content IS ? AND bundle = ? "
                "AND options = ?",
                *(name, content, bundle, said),
            ).fetchone()
            if row is None:
                cursor = self.run(
                    "INSERT INTO items (source, stat, content, bundle, options, added, sender) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    *(name, stat, content, bundle, said, utc(stamp())[0], sender),
                )
                return int(cursor.lastrowid or 0)
            number = int(row["id"])
            if content is None:
                self.run(
                    "UPDATE items SET state = 'waiting', attempts = 0 "
                    "WHERE id = ? AND state = 'failed'",
                    number,
                )
            else:
                self.run("UPDATE items SET stat = ? WHERE id = ?", stat, number)
            return number

    def shown(self, item: int) -> str:
        """What an item is called in results and messages."""
        row = self._row(item)
        return shown(row["source"], row["content"], item)

    def retry(self, states: Iterable[State] = ("failed",)) -> int:
        """Let settled items without a result wait again; the number of items."""
        count = 0
        for state in states:
            count += self.run(
                "UPDATE items SET state = 'waiting', attempts = 0 "
                "WHERE state = ? AND state IN ('failed', 'quarantined')",
                state,
            ).rowcount
        return count

    def again(self, item: int) -> None:
        """Let one item wait again, if it is settled without a result."""
        self.run(
            "UPDATE items SET state = 'waiting', attempts = 0 "
            "WHERE id = ? AND state IN ('failed', 'quarantined')",
            item,
        )

    def take_over(self, bundle: str) -> None:
        """Let all that is not settled wait for this process, to be answered by another bundle.

        What was running when the process before was ended is noted as in `claim`.
        """
        with self.run.transaction():
            for row in self.run("SELECT * FROM items WHERE state = 'running'").fetchall():
                self.give_up(row)
            self.run(
                "UPDATE items SET state = 'waiting', owner = NULL, bundle = ? "
                "WHERE state IN ('waiting', 'running')",
                bundle,
            )

    def forget(self, keep_days: float) -> int:
        """Delete the items that were settled longer ago, and the results that are nobody's then.

        Returns:
            The number of items.
        """
        oldest = (datetime.now(UTC) - timedelta(days=keep_days)).isoformat(timespec="milliseconds")
        with self.run.transaction():
            count = self.run(
                "DELETE FROM items WHERE state IN ('done', 'failed', 'quarantined') AND max(added, "
                "coalesce((SELECT finished FROM results WHERE results.id = items.result), ''), "
                "coalesce((SELECT max(at) FROM errors WHERE errors.item = items.id), '')) < ?",
                oldest,
            ).rowcount
            self.run(
                "DELETE FROM results WHERE id NOT IN "
                "(SELECT result FROM items WHERE result IS NOT NULL)"
            )
        return count

    def vacuum(self) -> None:
        """Fold the write-ahead log into the file, and give unused space back to the disk."""
        self.run("VACUUM")
        self.run("PRAGMA optimize").fetchall()
        self.run("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
