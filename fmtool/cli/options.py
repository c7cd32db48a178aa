"""The options that several verbs share, said once."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from runtime.engines.table import HELP as ENGINES
from runtime.ledger.names import Identifiers
from runtime.preprocess import Skull
from runtime.system.machine import confine

BundleOption = Annotated[
    Path | None,
    typer.Option(
        "--bundle", "-b", help="A bundle's folder or zip; the demonstration bundle if absent."
    ),
]
BundleArgument = Annotated[
    Path | None,
    typer.Argument(
        help="A bundle's folder or zip; the demonstration bundle if absent.", show_default=False
    ),
]
ProjectOption = Annotated[
    Path | None,
    typer.Option(
        "--project",
        help="The folder of a project's fmtool.toml; the working folder if absent.",
        show_default=False,
    ),
]
TasksOption = Annotated[
    list[str] | None,
    typer.Option("--task", "-t", help="A task of the bundle; repeat for several, all if absent."),
]
EngineOption = Annotated[str, typer.Option("--engine", help=ENGINES)]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
EnginesOption = Annotated[
    Path | None,
    typer.Option(
        "--engines",
        help="The engine cache's folder; the user's cache folder if absent.",
        show_default=False,
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        callback=confine,
        help="Cores to use; OMP_NUM_THREADS' or all that this process may use if absent.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
SkullOption = Annotated[
    Skull,
    typer.Option(
        "--skull",
        help="What the scans show: a whole head or a skull-stripped one; auto detects which.",
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
    Identifiers,
    typer.Option("--identifiers", help="What becomes of scans' names in results, ledger and log."),
]
LogOption = Annotated[
    Path | None, typer.Option("--log", help="A log file, rotated by size; stderr if absent.")
]
ScansArgument = Annotated[
    list[Path],
    typer.Argument(
        help="T1-weighted NIfTI or MGZ files; DICOM folders, zips or files; folders with "
        "normalized.nii.gz and mask.nii.gz; or folders of scans, BIDS data sets, lists (.txt).",
        show_default=False,
    ),
]

ForceOption = Annotated[
    bool, typer.Option("--force", help="Go on although a check refuses the scan.")
]
LabelsOption = Annotated[
    Path | None,
    typer.Option(
        help="The labels of a batch's results.parquet: a CSV or TSV with scan, image_path or "
        "participant_id.",
        show_default=False,
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace a bundle, or a model, that is there.")
]
SiteOption = Annotated[
    str | None,
    typer.Option(
        "--site",
        help="The site whose scans a harmonised head is to answer; those of any, as they come, if "
        "absent.",
        show_default=False,
    ),
]


def with_threads(function: Callable[..., None]) -> Callable[..., None]:
    """`function` with `--threads`, which is heeded before a library that counts cores is loaded."""
    own = signature(function, eval_str=True).parameters.values()

    def verb(**given: Any) -> None:
        del given["threads"]
        function(**given)

    threads = Parameter("threads", Parameter.KEYWORD_ONLY, default=None, annotation=ThreadsOption)
    kept = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in own]
    verb.__doc__ = function.__doc__
    verb.__signature__ = Signature([*kept, threads])  # type: ignore[attr-defined]
    return verb
