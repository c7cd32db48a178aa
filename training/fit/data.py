"""Prepared scans for the loop: read memory-mapped, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fmtool.errors import InputError
from training.cohort.prepared import PreparedScan
from training.fit.recipe import ScanBatch

Item = tuple[Tensor, Tensor, Tensor]


class ScanDataset(Dataset[Item]):
    """Prepared scans and their labels, in one order.

    Args:
        entries: of a store.
        labels: (N,), or (N, T) of T tasks; NaN where there is none; absent for a training without
            labels.

    Raises:
        InputError: if there are none, or not one label for each.
    """

    def __init__(
        self,
        entries: Sequence[PreparedScan],
        labels: Sequence[float] | Sequence[Sequence[float]] | None = None,
    ) -> None:
        if not entries:
            raise InputError("there are no scans to train on")
        self._entries = entries
        self.labels = [float("nan")] * len(entries) if labels is None else [*labels]
        if len(entries) != len(self.labels):
            raise InputError(f"{len(entries)} scans have {len(self.labels)} labels")

    @property
    def digests(self) -> list[str]:
        """What each scan's content is called, so that a resumed run sees the same scans."""
        return [str(entry.facts["digest"]) for entry in self._entries]

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Item:
        entry = self._entries[index]
        # Copies: a store's arrays are read-only, and torch must not write into the files.
        return (
            torch.from_numpy(np.array(entry.volume, dtype=np.float32)),
            torch.from_numpy(np.array(entry.mask, dtype=np.bool_)),
            torch.tensor(self.labels[index], dtype=torch.float32),
        )

    def batches(
        self, order: Sequence[list[int]], epoch: int, seed: int, device: torch.device, workers: int
    ) -> Iterator[ScanBatch]:
        """The batches of `order`, moved to `device`."""
        loader = DataLoader(
            self,
            batch_sampler=list(order),
            num_workers=workers,
            pin_memory=device.type == "cuda",
        )
        for indices, items in zip(order, loader, strict=True):
            volumes, masks, labels = (t.to(device, non_blocking=True) for t in items)
            yield ScanBatch(volumes, masks, labels, indices, epoch, seed)
