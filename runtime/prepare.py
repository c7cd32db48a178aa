"""Everything before the network: a scan read, prepared and checked, or refused in one sentence."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool.bundle import Bundle, exposure
from fmtool.errors import PreprocessingError
from runtime import quality, scan
from runtime.ledger.content import content_digests
from runtime.preprocess import Skull
from runtime.preprocess.pipeline import Prepared, Preprocessor
from runtime.preprocess.template import Template
from runtime.scan import Scan, Source
from runtime.scan.dicom.geometry import Stack
from runtime.store import Store
from runtime.store.scan import made_by, recalled, stored
from runtime.system.clock import timed


@dataclass
class Ready:
    """A scan that waits for the network.

    Attributes:
        scan: its file's name as given; "array" for an array.
        prepared: the volume in the model's space.
        checks: of the input and of its preprocessing; none refuses unless that was forced.
        facts: what the header and the read said, without warnings.
        warnings: of the header, and what was detected about the head.
        timings: seconds per stage.
        seconds: from the start of reading to the end of checking.
        itk, stack: see `Scan`.
        contents: the SHA-256 of the scan's files, where the bundle has learnt from known ones.
    """

    scan: str
    prepared: Prepared
    checks: list[quality.Check]
    facts: dict[str, Any]
    warnings: list[str]
    timings: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    itk: NDArray[np.float64] | None = None
    stack: Stack | None = None
    contents: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How scans are to be read.

    Attributes:
        skull: "auto", "whole" or "stripped": what they show.
        assume_ras: read those without an orientation as RAS instead of refusing them.
        force: go on although a check refuses one; the refusal stays among the checks.
        series: of DICOM, the SeriesNumber or SeriesInstanceUID to read, not the best-suited one.
    """

    skull: Skull = "auto"
    assume_ras: bool = False
    force: bool = False
    series: str | None = None


class Preparer:
    """Reading, preprocessing and checks with their networks loaded; use it as a context manager.

    Args:
        bundle: whose networks, template and ranges to use.
        reading: how to read the scans.
        store: keeps what is prepared of files, for any bundle that prepares alike.
    """

    def __init__(
        self, bundle: Bundle, reading: Reading = Reading(), store: Store | None = None
    ) -> None:
        self._store = store
        self._made_by = (
            made_by(bundle, reading.skull, reading.assume_ras, reading.series) if store else []
        )
        self._stages = Preprocessor(bundle, reading.skull)
        self._stack, self._opened = ExitStack(), False
        self._normal = bundle.manifest.calibration
        self._reading = reading
        self._known = exposure.read(bundle).knows_labelled

    def __enter__(self) -> Preparer:
        if self._store is None:
            self._open()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _open(self) -> None:
        """Load the stages' networks; what a store has needs none of them."""
        if not self._opened:
            self._stack.enter_context(self._stages)
            self._opened = True

    @property
    def template(self) -> Template:
        """The bundle's registration template."""
        return self._stages.template

    def __call__(self, source: Source | Scan, whole: bool = False) -> Ready:
        """Read, prepare and check one scan.

        Args:
            source: what `runtime.scan.read` takes, or a Scan.
            whole: whether what is in the scan's own space is wanted: no store has it, nor the
                slices of DICOM.

        Raises:
            InputError: if the scan cannot be used, saying why.
        """
        start, timings = time.perf_counter(), dict[str, float]()
        if self._store is None or whole or isinstance(source, Scan):
            head, prepared = self._run(source, timings)
        else:
            run = partial(self._run, source, timings)
            entry = stored(self._store, source, self._made_by, run)
            with timed(timings, "read"):
                head, prepared = recalled(entry, source)
        checks = self._checked(head, prepared)
        return Ready(
            _name(head),
            prepared,
            checks,
            {k: v for k, v in head.facts.items() if k != "warnings"},
            [*head.facts.get("warnings", []), *prepared.remarks],
            timings,
            time.perf_counter() - start,
            head.itk,
            head.stack,
            self._contents(source, head),
        )

    def _run(self, source: Source | Scan, timings: dict[str, float]) -> tuple[Scan, Prepared]:
        with timed(timings, "read"):
            head = source if isinstance(source, Scan) else self._read(source)
        self._open()
        prepared = self._stages.run(head)
        timings |= prepared.timings
        return head, prepared

    def _contents(self, source: Source | Scan, head: Scan) -> frozenset[str]:
        place = head.path if isinstance(source, Scan) else source
        if not self._known or place is None:
            return frozenset()
        files = Path(place) if isinstance(place, str | PathLike) else place
        try:
            return frozenset(content_digests(files))
        except OSError:  # gone since it was read: then there is nothing to compare
            return frozenset()

    def _read(self, source: Source) -> Scan:
        return scan.read(source, self._reading.assume_ras, self._reading.series)

    def _checked(self, head: Scan, prepared: Prepared) -> list[quality.Check]:
        checks = quality.checks(head.facts, prepared.facts, self._normal)
        if prepared.facts["head"] == "prepared" and head.path is not None:
            stood = {check.name: check for check in quality.refusals(head.path.parent)}
            checks = [stood.pop(check.name, check) for check in checks] + list(stood.values())
        refusals = [check.sentence for check in checks if check.verdict == "refuse"]
        if refusals and not self._reading.force:
            why = f"{_name(head)} is refused: {' '.join(refusals)}"
            raise PreprocessingError(head.refused(why))
        return checks


def _name(head: Scan) -> str:
    return str(head.path) if head.path is not None else "array"
