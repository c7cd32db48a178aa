"""`fmtool train import`: from a checkpoint of somebody's training to an encoder's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="A torch file, a tar of one, safetensors, an encoder's folder, or a MONAI "
            "bundle (folder or zip).",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Folder for the encoder; a .pt, .pth or .tar is upstream's layout."
        ),
    ],
) -> None:
    """Read a checkpoint and keep its encoder as safetensors, or write it as upstream would."""
    from fmtool.cli import console
    from training.encoders import upstream
    from training.encoders.architecture import some

    info = upstream.convert(checkpoint, out)
    if info["unexpected"]:
        console.say(f"left out: {', '.join(info['unexpected'])}")
    if info["dropped"]:
        console.say(f"layers after the embedding, left out: {some(info['dropped'])}")
    console.put(
        f"{out}: {info['architecture']}, width {info['width']:g}, {info['features']} features"
    )
