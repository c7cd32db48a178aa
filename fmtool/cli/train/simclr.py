"""`fmtool train simclr`: an encoder from unlabelled scans."""

from __future__ import annotations

from typing import Annotated

import typer

from fmtool.cli.train import run_options as o
from fmtool.space import CROP_SHAPE
from training.fit.settings import Settings
from training.runs.run import RunFiles


@o.spread
def simclr(
    cohort: o.CohortArgument,
    files: RunFiles,
    architecture: o.ArchitectureOption = o.EncoderName.resnet18,
    width: o.WidthOption = 1.0,
    temperature: Annotated[float, typer.Option(help="Of NT-Xent.")] = 0.5,
    view: Annotated[
        tuple[int, int, int], typer.Option(help="Voxels of a view, z y x.")
    ] = CROP_SHAPE,
    min_crop: Annotated[
        tuple[int, int, int], typer.Option(help="Smallest crop, in voxels of the scan, z y x.")
    ] = (30, 40, 40),
    parts: Annotated[
        str, typer.Option(help="The augmentations to apply, of crop,flip,rotation,shift,gamma.")
    ] = "crop,flip,rotation,gamma",
    bias: Annotated[float, typer.Option(help="Largest log of an added bias field, 0.3 say.")] = 0.0,
    noise: Annotated[float, typer.Option(help="Largest added noise, in brain deviations.")] = 0.0,
    blur: Annotated[float, typer.Option(help="Largest added blur, in voxels.")] = 0.0,
    recompute: o.RecomputeOption = False,
    split: o.SplitOption = None,
    settings: Settings = o.PRETRAINING,
) -> None:
    """Pretrain an encoder with SimCLR; labels are not read. The defaults are the paper's."""
    from fmtool.cli import console
    from training.augment import SimCLRAugment
    from training.augment.intensity import Intensity
    from training.runs import pretrain
    from training.simclr import SimCLR

    augment = SimCLRAugment(
        output_shape=view,
        min_crop=min_crop,
        parts=frozenset(parts.split(",")),
        intensity=Intensity(blur, bias, noise),
    )
    recipe = SimCLR(architecture.value, width, settings.seed, augment, temperature, recompute)
    if folder := pretrain.run(cohort, recipe, files, settings, console.say, split):
        console.put(str(folder))
