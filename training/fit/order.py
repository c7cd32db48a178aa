"""The order in which scans are seen: a function of the seed and the epoch, nothing else."""

from __future__ import annotations

import torch

from fmtool.errors import InputError
from training.fit.recipe import generator


def steps_per_epoch(count: int, batch: int, processes: int = 1) -> int:
    """Whole batches in one pass.

    Raises:
        InputError: if the scans do not fill one batch.
    """
    if count < batch * processes:
        raise InputError(
            f"{count} scans do not fill one batch of {batch * processes}; "
            "take a smaller batch or more scans"
        )
    return count // (batch * processes)


def batches(
    count: int, batch: int, seed: int, epoch: int, processes: int = 1, rank: int = 0
) -> list[list[int]]:
    """Which scans this process sees in each step of an epoch.

    All processes together see each scan once at most; what is left over at the end of a pass waits
    for the next. The scans of one step, over all processes, are those a single process with a
    batch of `processes * batch` would see.
    """
    steps = steps_per_epoch(count, batch, processes)
    order = torch.randperm(count, generator=generator(seed, epoch))
    share: list[list[int]] = (
        order[: steps * processes * batch].reshape(steps, processes, batch)[:, rank].tolist()
    )
    return share
