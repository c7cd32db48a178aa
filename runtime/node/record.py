"""The node's record: what came of each series, in a ledger like every other verb's."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from runtime.ledger import Ledger
from runtime.ledger.content import content_digest
from runtime.result import Result

LEDGER = "ledger.sqlite"


class Record:
    """The ledger in an inbox; use it as a context manager, in one thread.

    The inbox's folders say what is to be done; the ledger says what was done, and is not asked. An
    item's source is the series' name in the inbox.

    Args:
        folder: the inbox.
        bundle: the digest of the bundle that answers.

    Raises:
        LedgerError: from any use, if the ledger cannot be read or written.
    """

    def __init__(self, folder: Path, bundle: str) -> None:
        self._ledger = Ledger(folder / LEDGER)
        self._bundle = bundle

    def __enter__(self) -> Record:
        self._ledger.release()  # of a process that was killed in the middle of a series
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ledger.release()  # a series that was given back
        self._ledger.__exit__(kind, error, trace)

    def begin(self, series: str, folder: Path) -> int:
        """The number of the item, claimed; one with a result keeps that.

        Args:
            series: its name.
            folder: its objects.
        """
        item = self._ledger.add(series, content_digest(folder), self._bundle, {})
        self._ledger.again(item)  # someone moved it out of quarantine
        self._ledger.claim(item)
        return item

    def done(self, item: int, result: Result) -> None:
        """Note the answer."""
        self._ledger.finish(item, result.to_dict())

    def quarantined(self, item: int, series: str) -> None:
        """Note that there is none; why stays with the data, as it may name the patient."""
        self._ledger.quarantine(item, f"quarantine/{series}.json says why it was not answered")
