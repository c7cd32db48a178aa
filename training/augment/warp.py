"""Crop, resize, flip and rotation about the first axis, as one linear resampling.

The rotation leaves the first axis alone, so the voxel (k, i, j) of a view is the crop's value at

    z = (k + 1/2) d/D - 1/2,    (y, x) = scaled(rotated(i, flipped j))

with y and x the same in every slice: a bilinear interpolation in the plane (torch's own without
rotation, else a weighted sum of four whole columns of d voxels for each pixel), then a linear one
along z. Cell centres are aligned and edges repeated, as torch resizes; the mask takes voxel
floor(i * size / output), as torch's nearest does.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

Shape = tuple[int, int, int]


def linear(crop: Tensor, shape: Shape, angle: float, flip: bool) -> Tensor:
    """The crop (z, y, x) as a view of `shape`, float32, a tensor of its own.

    Args:
        crop: float, of any size.
        shape: voxels of the view.
        angle: of the rotation, in radians.
        flip: mirror the last axis, before the rotation.
    """
    depth, height, width = shape
    full = crop.shape[0]
    if angle:
        slices = _turned(crop, *_plane(height, width, angle, flip, crop.device))
    else:
        mirrored = (crop.flip(-1) if flip else crop).float()
        slices = functional.interpolate(mirrored[None], (height, width), mode="bilinear")[0]
    place = (torch.arange(depth, device=crop.device) + 0.5) * (full / depth) - 0.5
    low, high, up = _neighbours(place, full)
    # A sum of two rows in one pass: several times as fast as `lerp` of two gathered arrays.
    view = functional.embedding_bag(
        torch.stack((low, high), -1),
        slices.reshape(full, height * width),
        per_sample_weights=torch.stack((1 - up, up), -1),
        mode="sum",
    )
    return view.reshape(shape)


def nearest(crop: Tensor, shape: Shape, angle: float, flip: bool) -> Tensor:
    """The crop of a mask, bool (z, y, x), as float32 zeros and ones of `shape`; see `linear`."""
    full, rows, columns = crop.shape
    depth, height, width = shape
    y, x = _plane(height, width, angle, flip, crop.device)
    pixel = (y.round().long() * rows // height) * columns + x.round().long() * columns // width
    # Torch gathers floats faster than bytes, and makes them from bytes faster than from booleans.
    flat = crop.contiguous().view(torch.uint8).float().reshape(full, rows * columns)
    z = torch.arange(depth, device=crop.device) * full // depth
    return flat.index_select(1, pixel.reshape(-1)).index_select(0, z).reshape(shape)


def _plane(
    height: int, width: int, angle: float, flip: bool, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Where each pixel of a view's slice comes from in the resized slice: y and x, in pixels."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device, dtype=torch.float32),
        torch.arange(width, device=device, dtype=torch.float32),
        indexing="ij",
    )
    if angle:
        cy, cx = 0.5 * (height - 1), 0.5 * (width - 1)
        cos, sin = math.cos(angle), math.sin(angle)
        y, x = (
            (cy + cos * (y - cy) - sin * (x - cx)).clamp(0, height - 1),
            (cx + sin * (y - cy) + cos * (x - cx)).clamp(0, width - 1),
        )
    return y, (width - 1) - x if flip else x


def _turned(crop: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Every slice of the crop, bilinear, at the places y and x of `_plane`."""
    full, rows, columns = crop.shape
    height, width = y.shape
    top, bottom, down = _neighbours((y + 0.5) * (rows / height) - 0.5, rows)
    left, right, along = _neighbours((x + 0.5) * (columns / width) - 0.5, columns)
    corners = [v * columns + u for v in (top, bottom) for u in (left, right)]
    weights = [v * u for v in (1 - down, down) for u in (1 - along, along)]
    # The voxels of a column lie together in memory: several times as fast as `grid_sample`.
    pixels = functional.embedding_bag(
        torch.stack(corners, -1).reshape(-1, 4),
        crop.permute(1, 2, 0).reshape(rows * columns, full).float(),
        per_sample_weights=torch.stack(weights, -1).reshape(-1, 4),
        mode="sum",
    )
    return pixels.T.contiguous()


def _neighbours(place: Tensor, full: int) -> tuple[Tensor, Tensor, Tensor]:
    """The two voxels beside each place of an axis of `full` voxels, and the second one's weight."""
    place = place.clamp(0, full - 1)
    low = place.long()
    return low, (low + 1).clamp(max=full - 1), place - low
