"""`fmtool train mae`: an encoder from unlabelled scans, by filling in hidden patches."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from fmtool.cli.train import run_options as o
from fmtool.space import CROP_SHAPE
from training.fit.settings import Settings
from training.runs.run import RunFiles

# Those of the architectures that can leave patches out.
MaskedName = StrEnum("MaskedName", ["vit_tiny", "vit_base"])


@o.spread
def mae(
    cohort: o.CohortArgument,
    files: RunFiles,
    architecture: Annotated[MaskedName, typer.Option(help="Of the encoder.")] = MaskedName.vit_tiny,
    width: o.WidthOption = 1.0,
    mask_ratio: Annotated[float, typer.Option(help="The share of patches to hide.")] = 0.75,
    input_shape: Annotated[
        tuple[int, int, int],
        typer.Option(
            "--input", help="Resize scans to these voxels, z y x; a bundle needs the full size."
        ),
    ] = CROP_SHAPE,
    split: o.SplitOption = None,
    settings: Settings = o.PRETRAINING,
) -> None:
    """Pretrain a transformer as a masked autoencoder; labels are not read."""
    from fmtool.cli import console
    from training.mae import MAE
    from training.runs import pretrain

    recipe = MAE(
        architecture.value, width, seed=settings.seed, output_shape=input_shape, ratio=mask_ratio
    )
    if folder := pretrain.run(cohort, recipe, files, settings, console.say, split):
        console.put(str(folder))
