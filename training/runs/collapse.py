"""Whether an embedding space is spread out: alignment, uniformity, and a warning when it collapses.

For normalised embeddings f of two views x, y of one scan, and of different scans:

    alignment  = mean |f(x) - f(y)|^2                 (0: the two views agree)
    uniformity = log mean exp(-2 |f(x) - f(x')|^2)    (0: all in one point; lower is better)

Source: Wang, Isola, "Understanding Contrastive Representation Learning through Alignment and
Uniformity on the Hypersphere" (arXiv 2005.10242), with its alpha = 2 and t = 2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

_FLAT = -0.05  # uniformity: a mean squared distance between scans below about 0.025
_PATIENCE = 3  # epochs


def alignment(z1: Tensor, z2: Tensor) -> Tensor:
    """Mean squared distance of the two views of each scan; (N, P) each, need not be normalised."""
    z1, z2 = (functional.normalize(z.float(), dim=1) for z in (z1, z2))
    return (z1 - z2).square().sum(dim=1).mean()


def uniformity(z1: Tensor, z2: Tensor) -> Tensor:
    """Log mean Gaussian potential over pairs of scans, mean over the two views; (N, P) each."""
    return torch.stack([_potential(z1), _potential(z2)]).mean()


def _potential(z: Tensor) -> Tensor:
    distances = torch.pdist(functional.normalize(z.float(), dim=1))
    return distances.square().mul(-2).exp().mean().log()


class CollapseWatch:
    """Warns early, once for each reason, when a contrastive training learns nothing.

    Args:
        views: in one step, of all processes: 2N.
    """

    def __init__(self, views: int) -> None:
        self._chance = math.log(views - 1)
        self._flat, self._idle = 0, 0

    def check(self, loss: float, uniform: float) -> str | None:
        """One sentence to warn with, or None, from an epoch's mean loss and uniformity."""
        self._flat = self._flat + 1 if uniform > _FLAT else 0
        self._idle = self._idle + 1 if loss > self._chance - 0.01 else 0
        if self._flat == _PATIENCE:
            return (
                f"the representations collapse: for {_PATIENCE} epochs all scans have had nearly "
                f"one projection (uniformity {uniform:.3f}); take a lower learning rate, a larger "
                "batch or stronger augmentation"
            )
        if self._idle == _PATIENCE:
            return (
                f"nothing is learnt: for {_PATIENCE} epochs the loss {loss:.3f} has been that of "
                f"guessing ({self._chance:.3f}); take milder crops, more scans or another "
                "learning rate"
            )
        return None
