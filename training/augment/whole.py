"""A whole prepared scan as a network's input: z-scored, resized where a small training asks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.encoders import masked_zscore

Shape = tuple[int, int, int]


def whole(volume: Tensor, mask: Tensor, shape: Shape | None = None) -> Tensor:
    """All of a scan, z-scored inside its mask and zero outside, float32.

    Args:
        volume: float (z, y, x), as prepared.
        mask: same shape, above zero inside the brain.
        shape: (z, y, x) voxels to resize to; None leaves the scan as it is.
    """
    volume, mask = volume.float(), mask > 0
    if shape is not None and shape != tuple(volume.shape):
        volume = functional.interpolate(volume[None, None], shape, mode="trilinear")[0, 0]
        mask = functional.interpolate(mask[None, None].float(), shape, mode="nearest-exact")[0, 0]
    return masked_zscore(volume, mask)


def batch(volumes: Tensor, masks: Tensor, shape: Shape | None = None) -> Tensor:
    """(N, z, y, x) scans and masks -> [N, 1, z', y', x'], see `whole`."""
    pairs = zip(volumes, masks, strict=True)
    return torch.stack([whole(volume, mask, shape) for volume, mask in pairs])[:, None]
