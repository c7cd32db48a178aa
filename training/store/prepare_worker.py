"""Preparing one scan after another in a process, and many in several processes."""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from fmtool import bundle as bundles
from fmtool.bundle import Bundle
from fmtool.errors import CapabilityError, FmtoolError, InputError
from runtime import quality, scan
from runtime.preprocess.pipeline import Prepared, Preprocessor
from runtime.scan import Scan
from runtime.store import Store, code_digest
from runtime.store.entry import StoredScan
from runtime.store.scan import made_by, stored
from runtime.system import scheduling
from runtime.system.machine import cores
from runtime.system.orphan import end_with_parent
from training.store import turboprep

if TYPE_CHECKING:
    from training.cohort.row import Row

_log = logging.getLogger(__name__)

CHECKS = "checks"
"""Among the facts of a cohort's entries: what the bundle's checks say of the scan."""


class RowOutcome(NamedTuple):
    """What became of a row.

    Attributes:
        folder: of its entry.
        problem: why it has none, or an empty string.
        refused: what a check says that refuses the scan, which `fmtool predict` would not answer.
        unusual: what the checks say that warn of it.
        checks: what each check found; none of a scan that came prepared.
    """

    folder: Path
    problem: str
    refused: str = ""
    unusual: str = ""
    checks: Sequence[dict[str, Any]] = ()


class Maker:
    """Rows to entries of a store; the networks are loaded when a raw scan first needs them."""

    def __init__(self, store: Store, bundle: Bundle) -> None:
        self._store = store
        self._bundle = bundle
        self._stages: Preprocessor | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Maker:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def __call__(self, row: Row) -> RowOutcome:
        """The row's entry, or why there is none.

        Raises:
            CapabilityError: if this machine cannot prepare any scan.
            FmtoolError: if the store cannot be written.
        """
        try:
            entry, checks = self._entry(row)
            refused, unusual = (_sentences(checks, verdict) for verdict in ("refuse", "warn"))
            return RowOutcome(entry.folder, "", refused, unusual, checks)
        except InputError as error:
            return RowOutcome(Path(), str(error))
        except FmtoolError:
            raise
        except Exception as error:  # a defect, but one scan's must not cost the night's others
            _log.exception("preparing %s", row.image)
            return RowOutcome(
                Path(), f"{row.image} met a defect of fmtool ({error!r}); please report it"
            )

    def _entry(self, row: Row) -> tuple[StoredScan, Sequence[dict[str, Any]]]:
        if row.mask is not None:
            read = partial(turboprep.read, row.image, row.mask)
            return self._store.get(row.image, self._of_mask(row.mask), read), ()
        run = partial(self._run, row.image)
        entry = stored(self._store, row.image, made_by(self._bundle), run)
        ranges = self._bundle.manifest.calibration  # the bundle's own: no part of the entry
        checks = quality.checks(entry.facts["scan"], entry.facts, ranges)
        return entry, [check.to_dict() for check in checks]

    def _of_mask(self, mask: Path) -> list[str]:
        try:
            content = self._store.content(mask)
        except OSError as error:
            raise InputError(f"{mask} cannot be read ({error.strerror}); check it") from None
        return ["mask", content, code_digest.installed(turboprep.__name__)]

    def _run(self, path: Path) -> tuple[Scan, Prepared]:
        if self._stages is None:
            self._stages = self._stack.enter_context(Preprocessor(self._bundle))
        head = scan.read(path)
        return head, self._stages.run(head)


def _sentences(checks: Sequence[dict[str, Any]], verdict: str) -> str:
    return " ".join(check["sentence"] for check in checks if check["verdict"] == verdict)


def in_parallel(
    rows: Sequence[Row], bundle: Path, folder: Path, anew: bool, jobs: int
) -> Generator[tuple[int, RowOutcome], None, None]:
    """Position and outcome of each row, as they are done, by `jobs` processes.

    Args:
        rows: of a cohort.
        bundle: the opened bundle's folder.
        folder: of the store.
        anew: see `Store`.
        jobs: processes; each opens the bundle and its networks once.

    Raises:
        FmtoolError: as `Maker`; a CapabilityError if a process was ended from outside.
    """
    jobs = min(jobs, len(rows))
    spawn = multiprocessing.get_context("spawn")  # a fork would copy locks that threads may hold
    started = spawn.Value("i", 0)
    executor = ProcessPoolExecutor(jobs, spawn, _start, (bundle, folder, anew, jobs, started))
    try:
        positions = {executor.submit(_make, row): i for i, row in enumerate(rows)}
        for future in as_completed(positions):
            yield positions[future], future.result()
    except BrokenProcessPool:
        raise CapabilityError(
            f"one of {jobs} preparing processes was ended, perhaps for want of memory; what was "
            "done is kept: run it again, with fewer jobs"
        ) from None
    finally:
        executor.shutdown(cancel_futures=True)


_maker: Maker | None = None  # of this process, if it is a worker


def _start(bundle: Path, folder: Path, anew: bool, jobs: int, started: Any) -> None:
    global _maker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, too, and ends its workers
    end_with_parent()
    with started.get_lock():
        number = started.value
        started.value += 1
    threadpool_limits(_take_cores(number, jobs))
    opened = bundles.open(bundle)
    _maker = Maker(Store(folder, anew), opened).__enter__()


def _make(row: Row) -> RowOutcome:
    assert _maker is not None
    return _maker(row)


def _take_cores(number: int, jobs: int) -> int:
    """Bind the worker to its share of the cores, which engines go by, and say how many it has."""
    share = max(1, cores() // jobs)
    if there := scheduling.there():  # on macOS and Windows the system shares them out
        scheduling.bind({there[(number * share + i) % len(there)] for i in range(share)})
    return share
