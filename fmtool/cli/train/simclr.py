"""`fmtool train simclr`: an encoder from unlabelled scans."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from fmtool.cli.options import BundleOption
from fmtool.cli.train import run_options as o


class Optimizer(StrEnum):
    """Adam at a constant rate, or LARS with cosine decay."""

    adam = "adam"
    lars = "lars"


def simclr(
    cohort: o.CohortArgument,
    out: o.RunOption,
    architecture: o.ArchitectureOption = o.Architecture.resnet18,
    width: o.WidthOption = 1.0,
    epochs: o.EpochsOption = 1000,
    batch: o.BatchOption = 6,
    seed: o.SeedOption = 42,
    optimizer: Annotated[
        Optimizer, typer.Option(help="Adam (3e-4), or LARS (0.3 * batch / 256, cosine).")
    ] = Optimizer.adam,
    learning_rate: o.RateOption = None,
    temperature: Annotated[float, typer.Option(help="Of NT-Xent.")] = 0.5,
    view: Annotated[tuple[int, int, int], typer.Option(help="Voxels of a view, z y x.")] = (
        150,
        192,
        192,
    ),
    min_crop: Annotated[
        tuple[int, int, int], typer.Option(help="Smallest crop, in voxels of the scan, z y x.")
    ] = (30, 40, 40),
    parts: Annotated[
        str, typer.Option(help="The augmentations to apply, of crop,flip,rotation,shift,gamma.")
    ] = "crop,flip,rotation,gamma",
    bias: Annotated[float, typer.Option(help="Largest log of an added bias field, 0.3 say.")] = 0.0,
    noise: Annotated[float, typer.Option(help="Largest added noise, in brain deviations.")] = 0.0,
    blur: Annotated[float, typer.Option(help="Largest added blur, in voxels.")] = 0.0,
    precision: o.PrecisionOption = o.Precision.float32,
    recompute: o.RecomputeOption = False,
    clip: o.ClipOption = None,
    checkpoint_every: o.CheckpointOption = 10,
    resume: o.ResumeOption = False,
    device: o.DeviceOption = o.Device.auto,
    devices: o.DevicesOption = 1,
    nodes: o.NodesOption = 1,
    workers: o.WorkersOption = 0,
    bundle: BundleOption = None,
    cache: o.CacheOption = o.CACHE,
) -> None:
    """Pretrain an encoder with SimCLR; labels are not read. The defaults are the paper's."""
    from fmtool.cli import console
    from training.augment import SimCLRAugment
    from training.augment.intensity import Intensity
    from training.fit.settings import Settings
    from training.runs import pretrain
    from training.simclr import SimCLR

    settings = Settings(
        epochs=epochs,
        batch=batch,
        seed=seed,
        learning_rate=learning_rate,
        optimizer=optimizer.value,
        precision=precision.value,
        clip_norm=clip,
        checkpoint_every=checkpoint_every,
        device=device.value,
        devices=devices,
        nodes=nodes,
        workers=workers,
    )
    augment = SimCLRAugment(
        output_shape=view,
        min_crop=min_crop,
        parts=frozenset(parts.split(",")),
        intensity=Intensity(blur, bias, noise),
    )
    recipe = SimCLR(architecture.value, width, seed, augment, temperature, recompute)
    folder = pretrain.run(cohort, recipe, settings, out, cache, bundle, resume, remark=console.say)
    if folder is not None:
        console.put(str(folder))
