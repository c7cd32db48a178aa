"""`fmtool init`: a project's file, from what a folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmtool.cli.options import ProjectOption
from fmtool.task import BUILT_IN


def init(
    cohort: Annotated[
        Path | None,
        typer.Argument(
            help="A BIDS folder, or a CSV (image_path, mask_path, label); the only one in the "
            "project's folder if absent.",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            "-t",
            help=f"{', '.join(BUILT_IN)}, or a task's .toml file; repeat for several, those that "
            "the cohort has labels for if absent.",
        ),
    ] = None,
    project: ProjectOption = None,
) -> None:
    """Write fmtool.toml: what `fmtool train`, `export` and `predict` do in a folder."""
    from fmtool.cli import console
    from fmtool.cli.train import needs_torch
    from fmtool.project import FILE
    from training.project.begin import begin

    needs_torch()
    folder = project or Path()
    for sentence in begin(folder, cohort, task or ()):
        console.say(sentence)
    console.put(str(folder / FILE))
