"""`fmtool train import`: from a checkpoint of somebody's training to an encoder's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="A torch file, a tar of one, safetensors, an encoder's or a Hugging Face folder, "
            "or a MONAI bundle (folder or zip).",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Folder for the encoder; a .pt, .pth or .tar is upstream's layout."
        ),
    ],
    stem_stride: Annotated[
        int | None,
        typer.Option(
            min=1, max=4, help="Of a residual network's first convolution.", show_default=False
        ),
    ] = None,
    max_pool: Annotated[
        bool | None,
        typer.Option(help="Whether max pooling follows it.", show_default=False),
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(help="Of the encoder's names, among several networks.", show_default=False),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="An .npz with volume (z, y, x) and the embedding that it must give.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Read a checkpoint and keep its encoder as safetensors, or write it as upstream would."""
    from fmtool.cli import console
    from training.encoders import upstream
    from training.encoders.architecture import some
    from training.encoders.told import Told

    told = Told(stem_stride, max_pool, prefix, reference)
    info = upstream.convert(checkpoint, out, told)
    for sentence in info["remarks"]:
        console.say(sentence)
    if info["unexpected"]:
        console.say(f"left out: {some(info['unexpected'])}")
    if info["dropped"]:
        console.say(f"layers after the embedding, left out: {some(info['dropped'])}")
    console.put(
        f"{out}: {info['architecture']}, width {info['width']:g}, {info['features']} features"
    )
