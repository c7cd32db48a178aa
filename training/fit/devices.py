"""Where a run computes: one device, several, several machines; Lightning Fabric starts them."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from fmtool.errors import CapabilityError
from runtime.system import machine
from training.fit.recipe import Gather
from training.fit.settings import Settings


def launch(settings: Settings) -> Fabric:
    """A started Fabric: its processes run from here on, one per device.

    Under `torchrun` or Slurm the processes are there already and are joined.

    Raises:
        CapabilityError: if CUDA is asked for and absent, fewer devices are there, or the processor
            lacks the precision's arithmetic.
    """
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        count = torch.cuda.device_count()
        if count < settings.devices:
            raise CapabilityError(
                f"{settings.devices} CUDA devices are asked for and {count} are there; "
                "see `fmtool doctor`, or take --device cpu"
            )
    wanted = device == "cpu" and settings.precision == "bfloat16"
    if wanted and not machine.instructions().get("bfloat16", True):
        raise CapabilityError(
            "this processor has no bfloat16 arithmetic (avx512_bf16, amx_bf16), and emulating it "
            "makes training tens to hundreds of times slower; take --precision float32"
        )
    several = settings.devices * settings.nodes > 1
    with warnings.catch_warnings():
        # Fabric's advice on interactive strategies and TPU checks concerns nobody here.
        warnings.simplefilter("ignore", UserWarning)
        fabric = Fabric(
            accelerator=device,
            devices=settings.devices,
            num_nodes=settings.nodes,
            strategy="ddp" if several else "auto",
            precision="bf16-mixed" if settings.precision == "bfloat16" else "32-true",
        )
        fabric.launch()
    return fabric


def synchronised(network: nn.Module, fabric: Fabric) -> nn.Module:
    """The network with BatchNorm over all processes' scans, where CUDA offers it.

    On the CPU torch has no such BatchNorm: each process then normalises by its own batch.
    """
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return converted
    return network


def gather(fabric: Fabric) -> Gather:
    """See `training.fit.recipe.Gather`."""

    def all_of(tensor: Tensor) -> Tensor:
        if fabric.world_size == 1:
            return tensor
        every: Any = fabric.all_gather(tensor, sync_grads=True)
        together: Tensor = every.flatten(0, 1)
        return together

    return all_of
