"""`fmtool train import`: from a checkpoint of somebody's training to an encoder's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmtool.task import BUILT_IN


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
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder for the encoder; a .pt, .pth or .tar is upstream's layout. The "
            "checkpoint's name up to its first dot, here, if absent.",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            "-t",
            help="What a fine-tuned checkpoint of upstream predicts: "
            f"{', '.join(BUILT_IN)}, or a task's .toml file.",
            show_default=False,
        ),
    ] = None,
    head: Annotated[
        Path | None,
        typer.Option("--head", help="Keep its head in this JSON file.", show_default=False),
    ] = None,
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
    own: Annotated[
        tuple[int, int, int] | None,
        typer.Option(
            "--trained-on",
            metavar="Z Y X",
            help="Voxels that the network was trained on, made inside it from fmtool's crop.",
            show_default=False,
        ),
    ] = None,
    min_max: Annotated[
        bool,
        typer.Option("--min-max", help="Trained on intensities from 0 to 1, not on z-scores."),
    ] = False,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="An .npz with volume (z, y, x) and the embedding that it must give.",
            show_default=False,
        ),
    ] = None,
    stage: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=4,
            help="Cut a residual network after this stage and keep place, with --cells.",
            show_default=False,
        ),
    ] = None,
    cells: Annotated[
        tuple[int, int, int] | None,
        typer.Option(
            metavar="Z Y X",
            help="Into how many cells the cut map is split; its embedding has each one's means.",
            show_default=False,
        ),
    ] = None,
    histogram: Annotated[
        bool,
        typer.Option(
            "--histogram",
            help="With --cells: local histograms of the intensities beside the network's channels.",
        ),
    ] = False,
) -> None:
    """Read a checkpoint and keep its encoder as safetensors, or write it as upstream would."""
    from fmtool import task as tasks
    from fmtool.cli import console
    from fmtool.space import CROP_SHAPE
    from training.encoders.architecture import some
    from training.encoders.own_input import MIN_MAX, Z_SCORE, OwnInput
    from training.encoders.told import Told
    from training.runs import imported

    asked_input = None
    if own is not None or min_max:
        asked_input = OwnInput(own or CROP_SHAPE, MIN_MAX if min_max else Z_SCORE)
    told = Told(stem_stride, max_pool, prefix, reference, asked_input)
    asked = tasks.get(task) if task is not None else None
    out = out or Path(checkpoint.name.partition(".")[0])
    info = imported.convert(checkpoint, out, told, asked, head, stage, cells, histogram)
    for sentence in info["remarks"]:
        console.say(sentence)
    if info["unexpected"]:
        console.say(f"left out: {some(info['unexpected'])}")
    if info["dropped"]:
        console.say(f"layers after the embedding, left out: {some(info['dropped'])}")
    console.put(
        f"{out}: {info['architecture']}, width {info['width']:g}, {info['features']} features"
    )
    if head is not None:
        console.say(
            f"{head}: how good this head is, is not known, and every answer will say so; nobody "
            "was tested here"
        )
        console.put(str(head))
