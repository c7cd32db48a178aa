"""What torch computes in float32 on given volumes: the reference of every gate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from export.graph import INPUTS, BundleGraph
from fmtool.errors import ParityError

Array = NDArray[np.float32]
Volume = tuple[Array, Array]
"""A prepared volume and its mask, each (z, y, x) on the model's crop."""

Outputs = dict[str, Array]
"""Each output by name, without its batch axis."""


def feed(volumes: Sequence[Volume]) -> dict[str, Array]:
    """Volumes and masks as one batch, float32 [B, 1, z, y, x], by the graph's input names."""
    pairs = zip(*volumes, strict=True)
    return {
        name: np.stack([np.asarray(array, np.float32)[None] for array in arrays])
        for name, arrays in zip(INPUTS, pairs, strict=True)
    }


def reference(graph: BundleGraph, volumes: Sequence[Volume]) -> list[Outputs]:
    """Each volume's outputs in torch, float32, one volume at a time: a batch would take GBs each.

    Raises:
        ParityError: if torch's own output is not finite: nothing can be compared with that.
    """
    found = []
    with torch.inference_mode():
        for number, volume in enumerate(volumes):
            inputs = (torch.from_numpy(array) for array in feed([volume]).values())
            outputs = (output.numpy()[0] for output in graph(*inputs))
            found.append(dict(zip(graph.output_names, outputs, strict=True)))
            for name, output in found[-1].items():
                if not np.isfinite(output).all():
                    raise ParityError(
                        f"torch's own output {name!r} is not finite on volume {number + 1} of "
                        f"{len(volumes)}: check the checkpoint and the volume; nothing was written"
                    )
    return found
