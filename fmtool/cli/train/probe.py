"""`fmtool train probe`: from a labelled cohort and a frozen encoder to a head."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
    from training import linear_probe

    found = linear_probe.run(
        cohort, task, encoder, out, cache, bundle, allow_sites, seed, remark=console.say
    )
    console.table(_evidence_table(found.head.task.name, found.head.evidence))
    console.put(str(out))


def _evidence_table(task: str, evidence: dict[str, Any]) -> Any:
    from rich.table import Table

    unit = f" {evidence['unit']}" if evidence["unit"] else ""
    low, high = evidence["interval"]
    table = Table("", evidence["metric"], "95 % interval", title=f"{task}: {evidence['sample']}")
    table.add_row("linear probe", f"{evidence['value']:.3f}{unit}", f"{low:.3f} to {high:.3f}")
    table.add_row(evidence["baseline_name"], f"{evidence['baseline']:.3f}{unit}", "")
    if "brain_volume" in evidence:
        table.add_row("brain volume alone", f"{evidence['brain_volume']['value']:.3f}{unit}", "")
    beats = evidence["beats_baseline"]
    table.caption = (
        f"{'beats' if beats else 'does not beat'} its baseline: {evidence['baseline_name']}"
    )
    return table
