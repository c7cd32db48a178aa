"""`fmtool train mae`: an encoder from unlabelled scans, by filling in hidden patches."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from fmtool.cli.options import BundleOption
from fmtool.cli.train import run_options as o


class Transformer(StrEnum):
    """The architectures that can leave patches out."""

    vit_tiny = "vit_tiny"
    vit_base = "vit_base"


def mae(
    cohort: o.CohortArgument,
    out: o.RunOption,
    architecture: Annotated[
        Transformer, typer.Option(help="Of the encoder.")
    ] = Transformer.vit_tiny,
    width: o.WidthOption = 1.0,
    mask_ratio: Annotated[float, typer.Option(help="The share of patches to hide.")] = 0.75,
    epochs: o.EpochsOption = 1000,
    batch: o.BatchOption = 6,
    seed: o.SeedOption = 42,
    learning_rate: o.RateOption = None,
    input_shape: o.InputOption = o.FULL,
    precision: o.PrecisionOption = o.Precision.float32,
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
    """Pretrain a transformer as a masked autoencoder; labels are not read."""
    from fmtool.cli import console
    from training.fit.settings import Settings
    from training.mae import MAE
    from training.runs import pretrain

    settings = Settings(
        epochs=epochs,
        batch=batch,
        seed=seed,
        learning_rate=learning_rate,
        precision=precision.value,
        clip_norm=clip,
        checkpoint_every=checkpoint_every,
        device=device.value,
        devices=devices,
        nodes=nodes,
        workers=workers,
    )
    recipe = MAE(architecture.value, width, seed=seed, output_shape=input_shape, ratio=mask_ratio)
    folder = pretrain.run(cohort, recipe, settings, out, cache, bundle, resume, remark=console.say)
    if folder is not None:
        console.put(str(folder))
