"""Local histograms of a z-scored brain, as further channels of a residual network's map.

What a network's layers tell of a place follows its edges and noise, and so the scanner. How much of
the brain there is dark, grey or bright (fluid, grey and white matter in a T1-weighted scan) follows
the anatomy, and linear models of such maps are hard to beat (`training.evidence.smoothed_scan`).

With a the share of brain in two voxels along each axis, m their mean intensity within it and t_k
`LEVELS`, `STEP` apart, the brain is shared between the two levels that m lies between,

    h_k = a max(0, 1 - |m - t_k| / STEP)     (the outermost take all that lies beyond them)

and a position of the map has the means of the h_k around it, which add up to the share of brain.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.encoders.vit import Shape

STEP = 0.5
"""Standard deviations of the intensities inside the brain."""

LEVELS = tuple(STEP * k for k in range(-5, 5))
"""z-scores, from fluid at -2.5 to the brightest white matter at 2."""

_COARSE = 2
"""Voxels: at their own size, a scan's resolution and noise decide about the shares."""


def local_histogram(volume: Tensor, stride: int, positions: Shape) -> Tensor:
    """[B, 1, z, y, x] -> [B, levels, d, h, w], position j around voxel `stride * j`.

    Args:
        volume: z-scored, exactly zero outside the brain and there alone.
        stride: voxels from one position of the map to the next.
        positions: (d, h, w), of the map.
    """
    before, pads = stride // 2, []
    for voxels, count in zip(volume.shape[:1:-1], positions[::-1], strict=True):
        pads += [before, max(0, stride * count - voxels - before)]
    padded = functional.pad(volume, pads)
    coarse = min(_COARSE, stride)
    brain = functional.avg_pool3d((padded != 0.0).to(volume.dtype), coarse)
    mean = functional.avg_pool3d(padded, coarse) / brain.clamp(min=1e-3)
    above = [((mean - level) / STEP).clamp(0.0, 1.0) * brain for level in LEVELS[:-1]]
    d, h, w = positions
    shares = functional.avg_pool3d(torch.cat([brain, *above], 1), stride // coarse)
    shares = shares[:, :, :d, :h, :w]
    return shares - functional.pad(shares[:, 1:], (0, 0, 0, 0, 0, 0, 0, 1))
