"""Everything before the network: a scan read, prepared and checked, or refused in one sentence."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from fmtool.bundle import Bundle
from fmtool.errors import PreprocessingError
from runtime import quality, scan
from runtime.preprocess.pipeline import Prepared, Preprocessor, Skull
from runtime.preprocess.template import Template
from runtime.scan import Scan, Source


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
    """

    scan: str
    prepared: Prepared
    checks: list[quality.Check]
    facts: dict[str, Any]
    warnings: list[str]
    timings: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


class Preparer:
    """Reading, preprocessing and checks with their networks loaded; use it as a context manager.

    Args:
        bundle: an opened bundle.
        skull: "auto", "whole" or "stripped": what the scans show.
        assume_ras: read scans without an orientation as RAS instead of refusing them.
        force: go on although a check refuses the scan; the refusal stays among the checks.
        series: of DICOM, the SeriesNumber or SeriesInstanceUID to read, not the best-suited one.
    """

    def __init__(
        self,
        bundle: Bundle,
        skull: Skull = "auto",
        assume_ras: bool = False,
        force: bool = False,
        series: str | None = None,
    ) -> None:
        self._stages = Preprocessor(bundle, skull)
        self._normal = bundle.manifest.calibration
        self._assume_ras = assume_ras
        self._force = force
        self._series = series

    def __enter__(self) -> Preparer:
        self._stages.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stages.__exit__(kind, error, trace)

    @property
    def template(self) -> Template:
        """The bundle's registration template."""
        return self._stages.template

    def __call__(self, source: Source | Scan) -> Ready:
        """Read, prepare and check one scan.

        Raises:
            InputError: if the scan cannot be used, saying why.
        """
        start = time.perf_counter()
        read = self._assume_ras, self._series
        head = source if isinstance(source, Scan) else scan.read(source, *read)
        timings = {"read": time.perf_counter() - start}
        prepared = self._stages.run(head)
        timings |= prepared.timings
        name = str(head.path) if head.path is not None else "array"
        checks = quality.checks(head.facts, prepared.facts, self._normal)
        refusals = [check.sentence for check in checks if check.verdict == "refuse"]
        if refusals and not self._force:
            raise PreprocessingError(f"{name} is refused: {' '.join(refusals)}")
        return Ready(
            name,
            prepared,
            checks,
            {k: v for k, v in head.facts.items() if k != "warnings"},
            [*head.facts.get("warnings", []), *prepared.remarks],
            timings,
            time.perf_counter() - start,
        )
