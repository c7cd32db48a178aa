"""LARS: stochastic gradient descent whose rate follows each layer's ratio of weight to gradient.

For a layer with weights w, gradient g, decay b, momentum m and trust coefficient t:

    g' = g + b w
    r  = t |w| / |g'|     (1 where either norm is zero, and for biases and norms)
    v  = m v + r g'
    w  = w - lr v

Source: You, Gitman, Ginsburg, "Large Batch Training of Convolutional Networks" (arXiv 1708.03888),
as used by SimCLR (arXiv 2002.05709): biases and norms are neither decayed nor adapted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer


class LARS(Optimizer):
    """Layer-wise adaptive rate scaling.

    Args:
        params: parameter groups; "adapt" says whether a group's rate follows its layers.
        lr: the global learning rate.
        momentum: of the scaled gradient.
        trust: the layer-wise trust coefficient.
        weight_decay: added to the gradient, before scaling.
    """

    def __init__(
        self,
        params: Any,
        lr: float,
        momentum: float = 0.9,
        trust: float = 0.001,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "trust": trust,
            "weight_decay": weight_decay,
            "adapt": True,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update; `closure`, if any, computes the loss anew."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                gradient = weight.grad + group["weight_decay"] * weight
                if group["adapt"]:
                    w, g = weight.norm(), gradient.norm()
                    ratio = torch.where((w > 0) & (g > 0), group["trust"] * w / g, 1.0)
                    gradient = gradient * ratio
                state = self.state[weight]
                velocity = state.setdefault("momentum_buffer", torch.zeros_like(weight))
                velocity.mul_(group["momentum"]).add_(gradient)
                weight.add_(velocity, alpha=-group["lr"])
        return loss
