"""`fmtool train import`: from a checkpoint of somebody's training to an encoder's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_(
    checkpoint: Annotated[
        Path, typer.Argument(help="A torch file, a tar of one, or safetensors.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the encoder.")],
) -> None:
    """Read an upstream SimCLR checkpoint and keep its encoder as safetensors."""
    from fmtool.cli import console
    from training.encoders import load_checkpoint, save_encoder

    encoder, info = load_checkpoint(checkpoint)
    save_encoder(out, encoder, f"checkpoint {checkpoint.name}")
    if info.get("unexpected"):
        console.say(f"left out: {', '.join(info['unexpected'])}")
    console.put(f"{out}: ResNet-18, width {info['width']:g}, {info['features']} features")
