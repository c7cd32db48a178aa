"""The head that SimCLR trains beside an encoder, in upstream's layout; dropped afterwards."""

from __future__ import annotations

from torch import nn

PROJECTION = 64


def projector(features: int) -> nn.Sequential:
    """The head that is used in pretraining only; upstream's layout and parameter names."""
    return nn.Sequential(
        nn.Linear(features, features, bias=False),
        nn.ReLU(),
        nn.Linear(features, PROJECTION, bias=False),
    )
