"""The options that all trainings share, said once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fmtool.task import BUILT_IN


class Device(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Precision(StrEnum):
    """Of the network; weights and loss stay float32."""

    float32 = "float32"
    bfloat16 = "bfloat16"


class Architecture(StrEnum):
    """The architectures there are."""

    resnet18 = "resnet18"
    resnet50 = "resnet50"
    vit_tiny = "vit_tiny"
    vit_base = "vit_base"


ArchitectureOption = Annotated[Architecture, typer.Option(help="Of the encoder.")]
EncoderOption = Annotated[
    Path, typer.Option("--encoder", "-e", help="A checkpoint, or what `train import` wrote.")
]
CohortArgument = Annotated[
    Path,
    typer.Argument(
        help="A CSV (image_path, mask_path, label) or a BIDS folder.", show_default=False
    ),
]
RunOption = Annotated[
    Path, typer.Option("--out", "-o", help="The run's folder: encoder, checkpoints, logs.")
]
CacheOption = Annotated[Path, typer.Option(help="Folder for prepared volumes and embeddings.")]
CACHE = Path(".cache/fmtool")
WidthOption = Annotated[float, typer.Option(help="Scales the encoder's channels.")]
EpochsOption = Annotated[int, typer.Option(help="Passes over the scans.")]
BatchOption = Annotated[int, typer.Option(help="Scans per step and device.")]
SeedOption = Annotated[int, typer.Option(help="Of weights, order and views.")]
RateOption = Annotated[
    float | None,
    typer.Option("--learning-rate", help="The recipe's own if absent.", show_default=False),
]
PrecisionOption = Annotated[Precision, typer.Option(help="Of the network's arithmetic.")]
ClipOption = Annotated[
    float | None,
    typer.Option(
        "--clip", help="Largest norm of the gradient; not clipped if absent.", show_default=False
    ),
]
RecomputeOption = Annotated[
    bool,
    typer.Option("--recompute", help="Recompute activations in the backward pass: less memory."),
]
CheckpointOption = Annotated[
    int, typer.Option("--checkpoint-every", help="Epochs between checkpoints.")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on where an earlier run in the folder stopped.")
]
DeviceOption = Annotated[Device, typer.Option(help="auto takes CUDA where there is one.")]
DevicesOption = Annotated[int, typer.Option(help="Devices, or processes, per machine.")]
NodesOption = Annotated[int, typer.Option(help="Machines, under torchrun or Slurm.")]
WorkersOption = Annotated[int, typer.Option(help="Loader processes per training process.")]
TaskOption = Annotated[
    str,
    typer.Option("--task", "-t", help=f"{', '.join(BUILT_IN)}, or a task's .toml file."),
]
SplitOption = Annotated[
    Path | None,
    typer.Option("--split", help="What `train split` wrote for this cohort.", show_default=False),
]
ValidationOption = Annotated[
    Path | None,
    typer.Option("--validation", help="A table of its own to validate on.", show_default=False),
]
TestOption = Annotated[
    Path | None,
    typer.Option("--test", help="A table of its own to test on.", show_default=False),
]
BalanceOption = Annotated[
    bool, typer.Option("--balance", help="Weigh the classes of a binary task equally.")
]
InputOption = Annotated[
    tuple[int, int, int],
    typer.Option("--input", help="Resize scans, z y x; a bundle needs the full size."),
]
FULL = (150, 192, 192)
AllowSitesOption = Annotated[
    bool, typer.Option("--allow-sites", help="Accept scans of more than one site.")
]
