"""The options that several verbs share, said once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Head(StrEnum):
    """What a scan shows."""

    auto = "auto"
    whole = "whole"
    stripped = "stripped"


class Identifiers(StrEnum):
    """What becomes of scans' names."""

    keep = "keep"
    hash = "hash"
    drop = "drop"


BundleOption = Annotated[
    Path | None,
    typer.Option(
        "--bundle", "-b", help="A bundle's folder or zip; the demonstration bundle if absent."
    ),
]
HeadOption = Annotated[
    Head,
    typer.Option(
        "--head", help="What the scans show: auto detects a skull-stripped head and says so."
    ),
]
AssumeRasOption = Annotated[
    bool,
    typer.Option(
        "--assume-ras", help="Read a scan without orientation codes as RAS, not refuse it."
    ),
]
SeriesOption = Annotated[
    str | None,
    typer.Option(
        "--series",
        help="Of DICOM, the number or UID of the series to read; the best-suited T1-weighted one "
        "if absent.",
    ),
]
IdentifiersOption = Annotated[
    Identifiers, typer.Option("--identifiers", help="Scans' names in the log and the ledger.")
]
LogOption = Annotated[
    Path | None, typer.Option("--log", help="A log file, rotated by size; stderr if absent.")
]
ScansArgument = Annotated[
    list[Path],
    typer.Argument(
        help="T1-weighted NIfTI or MGZ files; DICOM folders, zips or files; or folders with "
        "normalized.nii.gz and mask.nii.gz.",
        show_default=False,
    ),
]
