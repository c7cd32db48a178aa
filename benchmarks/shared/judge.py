"""What the checks say of a scan, as `fmtool predict` asks them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fmtool.errors import FmtoolError
from runtime import quality
from runtime import scan as scans
from runtime.preprocess.pipeline import Preprocessor
from runtime.scan import Scan

VERDICTS = ("refuse", "warn", "ok")
"""The gravest first."""


@dataclass(frozen=True)
class Verdict:
    """What was said of one scan.

    Attributes:
        gravest: one of `VERDICTS`.
        by: the checks that were not "ok", or the error.
        tilt: the head's angle in degrees; NaN of a scan that cannot be read or prepared.
    """

    gravest: str
    by: tuple[str, ...]
    tilt: float


def judge(
    stages: Preprocessor, scan: Scan | Path, calibration: Mapping[str, list[float]]
) -> Verdict:
    """The checks' verdict; a scan that cannot be read or prepared is refused."""
    try:
        read = scan if isinstance(scan, Scan) else scans.read(scan)
        facts = stages.run(read).facts
    except FmtoolError as error:
        return Verdict("refuse", (type(error).__name__,), float("nan"))
    found = quality.checks(read.facts, facts, calibration)
    said = {check.verdict for check in found}
    by = tuple(f"{check.name} ({check.verdict})" for check in found if check.verdict != "ok")
    return Verdict(next(v for v in VERDICTS if v in said), by, float(facts["tilt"]))


def counted(verdicts: Iterable[str]) -> list[str]:
    """Cells of a table: how many, and how many of each of `VERDICTS`."""
    said = list(verdicts)
    return [str(len(said)), *(str(said.count(v)) for v in VERDICTS)]
