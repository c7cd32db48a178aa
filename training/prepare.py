"""A cohort's scans as prepared volumes: made once, by the runtime's own preprocessing."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import track

from fmtool import bundle as bundles
from fmtool.bundle import Bundle
from fmtool.errors import InputError
from runtime import scan
from runtime.preprocess.pipeline import Prepared, Preprocessor
from training.cohort import Cohort
from training.store import Entry, Store

_SHOWN = 5


def prepare(
    cohort: Cohort, folder: str | os.PathLike[str], bundle: Bundle | None = None
) -> list[Entry]:
    """The store's entry of each row, in order; what the store lacks is prepared now.

    Args:
        cohort: rows with a mask are on the model's grid already; the others are raw or stripped.
        folder: of the store.
        bundle: whose networks and template prepare the scans; the demonstration bundle if absent.

    Raises:
        InputError: naming the scans that cannot be prepared, after all the others were.
    """
    entries, problems = [], []
    with ExitStack() as stack:
        opened = bundle or stack.enter_context(bundles.open())
        store = Store(folder, opened.digest)
        stages = stack.enter_context(Preprocessor(opened))

        def run(path: Path) -> Prepared:
            return stages.run(scan.read(path))

        console = Console(stderr=True)
        for row in track(cohort.rows, "Preparing", console=console, transient=True):
            try:
                entries.append(store.get(row, run))
            except InputError as error:
                problems.append(f"line {row.line}: {error}")
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise InputError(
            f"{cohort.path} lists scans that cannot be prepared: "
            f"{'; '.join(problems[:_SHOWN])}{more}; take them out of the table"
        )
    return entries
