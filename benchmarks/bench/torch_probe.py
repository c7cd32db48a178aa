"""The probes of a device's peak in torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.bench.probe import CHAIN, CHANNELS, Make, Probe, flop
from fmtool.errors import CapabilityError

_KINDS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def make(precision: str, device: str) -> Make:
    """Probes in `precision` on "cpu" or "cuda:N", channels last; float32 is without TF32.

    Raises:
        CapabilityError: for a precision that torch does not multiply in.
    """
    if precision not in _KINDS:
        raise CapabilityError(
            f"torch has no matrix product in {precision} to measure the peak with"
        )
    torch.backends.cudnn.allow_tf32 = False

    def opened(kind: str, size: int) -> Probe:
        place: dict[str, Any] = {"dtype": _KINDS[precision], "device": device}
        if kind == "convolution":
            weight = torch.randn(CHANNELS, CHANNELS, 3, 3, 3, **place)
            x = torch.randn(1, CHANNELS, size, size, size, **place)
            weight, x = (t.to(memory_format=torch.channels_last_3d) for t in (weight, x))
        else:
            weight, x = (torch.randn(size, size, **place) for _ in range(2))

        def run() -> None:
            multiply = functional.conv3d if kind == "convolution" else functional.linear
            with torch.inference_mode():
                y: Tensor = x
                for _ in range(CHAIN):
                    y = multiply(y, weight)
                y.flatten()[0].item()  # waits for a GPU

        return Probe(f"{kind} {size}", flop(kind, size), run, lambda: None)

    return opened
