"""`fmtool preprocess`: a raw head in, TurboPrep's files out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmtool.cli.options import (
    AssumeRasOption,
    BundleOption,
    ForceOption,
    SeriesOption,
    SkullOption,
    ThreadsOption,
)
from fmtool.errors import UsageError


def preprocess(
    scan: Annotated[
        list[Path],
        typer.Argument(
            help="A T1-weighted head: NIfTI, MGZ, or a DICOM folder, zip or list of files.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")],
    bundle: BundleOption = None,
    skull: SkullOption = "auto",
    assume_ras: AssumeRasOption = False,
    series: SeriesOption = None,
    force: ForceOption = False,
    threads: ThreadsOption = None,
) -> None:
    """Strip, correct, register and resample one scan: normalized.nii.gz, mask.nii.gz and more."""
    from fmtool import bundle as bundles
    from fmtool.cli import console
    from runtime import scan as scans
    from runtime.batch.inputs import named
    from runtime.prepare import Preparer, Reading
    from runtime.report.turboprep import remarks, write

    found = named(scan)
    if len(found) > 1:
        raise UsageError(f"preprocess takes one scan; {len(found)} are named")
    reading = Reading(skull=skull, assume_ras=assume_ras, force=force, series=series)
    with (
        console.activity("Preprocessing"),
        bundles.open(bundle) as opened,
        Preparer(opened, reading) as preparer,
    ):
        source = scans.read(found[0], assume_ras, series)
        ready = preparer(source)
        paths = write(ready.prepared, out, opened, preparer.template, source, ready.checks)
    for sentence in remarks(ready.prepared, source, ready.checks):
        console.say(f"{scans.called(found[0])}: {sentence}")
    for path in paths:
        console.put(str(path))
