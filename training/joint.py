"""Joint training: one encoder with a linear layer for each of several tasks, all from labels.

With L_t the loss of task t, as `training.supervised` has it, over those scans of a batch that have
t's label, and T tasks:

    loss = sum over t of L_t / T

A scan without a task's label says nothing of that task. Each L_t is of outputs on a scale of one
(a regression's labels are standardised), so that no task's unit outweighs another's.

Source: Caruana, Machine Learning 1997 (multitask learning); the losses are the paper's (arXiv
2509.10620).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from training import encoders
from training.augment.whole import batch as whole_batch
from training.fit.recipe import Gather, Loss, ScanBatch
from training.fit.settings import Settings
from training.supervised import Supervised


class JointNetwork(nn.Module):
    """Encoder and linear layers: [B, 1, z, y, x] -> (B, all tasks' outputs beside each other)."""

    def __init__(self, encoder: nn.Module, heads: Sequence[nn.Module], recompute: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleList(heads)
        self._recompute = recompute

    def forward(self, volumes: Tensor) -> Tensor:
        """The outputs of each volume, on the losses' scale."""
        maps = encoders.features(self.encoder, volumes, recompute=self._recompute)
        embedding = encoders.pool(self.encoder, maps)
        return torch.cat([head(embedding) for head in self.heads], dim=1)


class Joint:
    """The recipe.

    Args:
        parts: a recipe for each task, all on one encoder, which is trained in place; afterwards
            each predicts its own task.
        recompute: trade time for memory; the result is the same up to rounding.
    """

    def __init__(self, parts: Sequence[Supervised], recompute: bool = False) -> None:
        first = parts[0]
        encoder = first.network.get_submodule("encoder")
        heads = [part.network.get_submodule("head") for part in parts]
        self.network: nn.Module = JointNetwork(encoder, heads, recompute)
        self.parts, self.name = list(parts), f"joint {first.name}"

    def describe(self) -> dict[str, Any]:
        """See `training.fit.recipe.Recipe`."""
        return {"parts": [part.describe() for part in self.parts]}

    def check(self, settings: Settings, device: torch.device) -> None:
        """See `training.supervised.Supervised`."""
        self.parts[0].check(settings, device)

    def loss(self, network: nn.Module, batch: ScanBatch, gather: Gather) -> Loss:
        """The loss above over this process's scans; the batch's labels are (N, T)."""
        del gather
        shape = self.parts[0].input_shape
        outputs = network(whole_batch(batch.volumes, batch.masks, shape)).float()
        each = outputs.split([part.task.logits for part in self.parts], dim=1)
        total, facts = outputs.sum() * 0.0, {}
        for part, output, labels in zip(self.parts, each, batch.labels.T, strict=True):
            known = ~labels.isnan()
            if known.any():
                own = part.of_output(output[known], labels[known])
                total, facts[f"loss_{part.task.name}"] = total + own, own.detach()
        return Loss(total / len(self.parts), facts)
