"""`fmtool train synth`: a cohort of synthetic heads whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def synth(
    out: Annotated[Path, typer.Argument(help="A new or empty folder.", show_default=False)],
    subjects: Annotated[int, typer.Option("--subjects", "-n", min=1, help="How many heads.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same files.")],
    sessions: Annotated[int, typer.Option(min=1, help="Scans per head.")] = 1,
    prepared: Annotated[
        bool,
        typer.Option("--prepared", help="Volumes and masks on the model's grid, not raw scans."),
    ] = False,
) -> None:
    """Make T1w-like heads that belong to nobody, with a hidden age and sex."""
    from fmtool.cli import console
    from training.synth import cohort

    table = cohort.write(out, subjects, seed, sessions, prepared)
    console.say(f"{subjects} SYNTHETIC heads: no person was scanned; see {out / 'README'}")
    console.put(str(table))
