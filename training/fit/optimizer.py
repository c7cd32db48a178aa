"""Optimizers by name, each with its learning rate's schedule."""

from __future__ import annotations

import math

from torch import nn
from torch.optim import Adam, Optimizer

from training.fit.lars import LARS
from training.fit.settings import DECAYS, RATES, Settings


def build(network: nn.Module, settings: Settings) -> Optimizer:
    """The optimizer of a run.

    Adam is the paper's (3e-4, no decay). LARS is its large-batch option, at
    0.3 * batch / 256 (SimCLR, arXiv 2002.05709).
    """
    decay = DECAYS[settings.optimizer] if settings.weight_decay is None else settings.weight_decay
    if settings.optimizer == "adam":
        return Adam(network.parameters(), lr=peak_rate(settings), weight_decay=decay)
    # Vectors are biases and norms: they take neither decay nor layer-wise scaling.
    matrices = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": decay, "adapt": True},
        {"params": vectors, "weight_decay": 0.0, "adapt": False},
    ]
    return LARS(groups, lr=peak_rate(settings))


def peak_rate(settings: Settings) -> float:
    """The highest learning rate of a run."""
    base = settings.learning_rate or RATES[settings.optimizer]
    if settings.optimizer == "adam":
        return base
    return base * settings.batch * settings.devices * settings.nodes / 256


def rate(settings: Settings, step: int, steps: int) -> float:
    """The learning rate of a step: constant for Adam, half a cosine down to zero for LARS."""
    peak = peak_rate(settings)
    if settings.optimizer == "adam":
        return peak
    return 0.5 * peak * (1.0 + math.cos(math.pi * step / steps))
