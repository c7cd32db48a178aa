"""`fmtool train probe`: from a labelled cohort and a frozen encoder to a head."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmtool.cli.options import BundleOption


def probe(
    cohort: Annotated[
        Path,
        typer.Argument(
            help="A CSV (image_path, mask_path, label) or a BIDS folder.", show_default=False
        ),
    ],
    task: Annotated[
        str,
        typer.Option(
            "--task", "-t", help="age, sex, alzheimers, stroke_scale, or a task's .toml file."
        ),
    ],
    encoder: Annotated[
        Path, typer.Option("--encoder", "-e", help="A checkpoint, or what `train import` wrote.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The head's JSON file.")],
    bundle: BundleOption = None,
    cache: Annotated[Path, typer.Option(help="Folder for prepared volumes and embeddings.")] = Path(
        ".cache/fmtool"
    ),
    allow_sites: Annotated[
        bool, typer.Option("--allow-sites", help="Accept scans of more than one site.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the folds and the bootstrap.")] = 0,
) -> None:
    """Fit a linear probe, cross-validated by subject, and write its head."""
    from fmtool.cli import console
    from fmtool.cli.train import evidence
    from training import linear_probe

    found = linear_probe.run(
        cohort, task, encoder, out, cache, bundle, allow_sites, seed, remark=console.say
    )
    console.table(evidence.table(found.head.task.name, found.head.evidence, "linear probe"))
    console.put(str(out))
