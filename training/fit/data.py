"""Prepared scans for the loop: read memory-mapped, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fmtool.errors import InputError
from training.fit.recipe import Batch
from training.store import Entry

Item = tuple[Tensor, Tensor, Tensor]


class Scans(Dataset[Item]):
    """Volumes, masks and labels, in one order.

    Args:
        volumes: float32 (z, y, x) each, memory-mapped or not, all of one shape.
        masks: their brain masks.
        labels: (N,); NaN where there is none; absent for a training without labels.
        digests: names each scan's content, so that a resumed run sees the same scans.
    """

    def __init__(
        self,
        volumes: Sequence[NDArray[np.float32]],
        masks: Sequence[NDArray[np.bool_]],
        labels: Sequence[float] | None = None,
        digests: Sequence[str] = (),
    ) -> None:
        if not volumes:
            raise InputError("there are no scans to train on")
        self.volumes = volumes
        self.masks = masks
        self.labels = [float("nan")] * len(volumes) if labels is None else list(labels)
        self.digests = list(digests)
        if not len(volumes) == len(masks) == len(self.labels):
            raise InputError(
                f"{len(volumes)} volumes, {len(masks)} masks and {len(self.labels)} labels: "
                "there must be equally many"
            )

    @classmethod
    def of(cls, entries: Sequence[Entry], labels: Sequence[float] | None = None) -> Scans:
        """The scans of a store's entries."""
        return cls(
            [entry.volume for entry in entries],
            [entry.mask for entry in entries],
            labels,
            [entry.facts["digest"] for entry in entries],
        )

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, index: int) -> Item:
        # A copy: the store's arrays are read-only, and torch must not write into the files.
        return (
            torch.from_numpy(np.array(self.volumes[index], dtype=np.float32)),
            torch.from_numpy(np.array(self.masks[index], dtype=np.bool_)),
            torch.tensor(self.labels[index], dtype=torch.float32),
        )

    def batches(
        self, order: Sequence[list[int]], epoch: int, seed: int, device: torch.device, workers: int
    ) -> Iterator[Batch]:
        """The batches of `order`, moved to `device`."""
        loader = DataLoader(
            self,
            batch_sampler=list(order),
            num_workers=workers,
            pin_memory=device.type == "cuda",
        )
        for indices, items in zip(order, loader, strict=True):
            volumes, masks, labels = (t.to(device, non_blocking=True) for t in items)
            yield Batch(volumes, masks, labels, indices, epoch, seed)
