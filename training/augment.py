"""The paper's augmentation as one fused resampling, on CPU and GPU tensors alike.

The recipe of 3D-Neuro-SimCLR (arXiv 2509.10620), in order, on volume and mask together: random crop
-> resize -> flip of the last axis -> rotation about the first axis -> intensity shift -> gamma ->
masked z-score. The rotation leaves the first axis alone, so crop, resize, flip and rotation are one
linear interpolation along that axis and one 2D warp that all slices share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from fmtool.errors import InputError
from fmtool.space import CROP_SHAPE
from training.encoders import masked_zscore

Shape = tuple[int, int, int]

_TRIES = 100  # a usable scan gives a usable view in one or two


@dataclass(frozen=True)
class Draw:
    """What one view is made with.

    Attributes:
        start: first voxel of the crop.
        size: voxels of the crop.
        flip: mirror the last axis.
        angle: rotation about the first axis in radians, after resizing.
        shift: added to every voxel, in intensity units.
        gamma: exponent on intensities scaled to [0, 1].
    """

    start: Shape
    size: Shape
    flip: bool
    angle: float
    shift: float
    gamma: float


@dataclass(frozen=True)
class SimCLRAugment:
    """Random views of a prepared volume.

    Attributes:
        output_shape: (z, y, x) voxels of a view; smaller than the paper's for a small training.
        min_crop: the smallest crop per axis, in voxels of the input; the largest is all of it.
        shift: apply the paper's intensity shift. Off, because it does nothing: the masked z-score
            removes any constant that is added. Equal seeds give equal views either way.
    """

    output_shape: Shape = CROP_SHAPE
    min_crop: Shape = (30, 40, 40)
    shift: bool = False

    def __call__(self, volume: Tensor, mask: Tensor, generator: Generator) -> Tensor:
        """One view, float32 (..., z, y, x), z-scored inside its mask and zero outside.

        Args:
            volume: float (..., z, y, x); leading axes, if any, have length one.
            mask: same shape, above zero inside the brain; on the volume's device.
            generator: the only source of randomness; may live on the CPU for GPU tensors.

        Raises:
            InputError: if no draw gives a view with brain in it and finite values.
        """
        leading = volume.shape[:-3]
        volume, mask = volume.reshape(volume.shape[-3:]), mask.reshape(mask.shape[-3:]) > 0
        for _ in range(_TRIES):
            warped, inside = self.apply(volume, mask, self.draw(volume.shape, generator))
            view = masked_zscore(warped, inside)
            if bool(inside.any()) and bool(torch.isfinite(view).all()):
                return view.reshape(*leading, *self.output_shape)
        raise InputError(
            f"no usable view in {_TRIES} draws: the mask is empty or the volume is not finite"
        )

    def draw(self, shape: torch.Size, generator: Generator) -> Draw:
        """The random numbers of one view of a volume of `shape`; always equally many."""
        uniform = torch.rand(14, generator=generator, device=generator.device, dtype=torch.float64)
        u = uniform.tolist()
        low = [min(least, full) for least, full in zip(self.min_crop, shape, strict=True)]
        size = [
            a + int(u[i] * (n - a + 1)) for i, (a, n) in enumerate(zip(low, shape, strict=True))
        ]
        start = [
            int(u[3 + i] * (n - s + 1)) for i, (s, n) in enumerate(zip(size, shape, strict=True))
        ]
        return Draw(
            start=(start[0], start[1], start[2]),
            size=(size[0], size[1], size[2]),
            flip=u[6] < 0.5,
            angle=(2.0 * u[8] - 1.0) * 0.785 if u[7] < 0.5 else 0.0,
            shift=(2.0 * u[10] - 1.0) * 0.5 if u[9] < 0.8 and self.shift else 0.0,
            gamma=0.5 + u[12] if u[11] < 0.8 else 1.0,
        )

    def apply(self, volume: Tensor, mask: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
        """The view and its mask, before the z-score, both (z, y, x) of `output_shape`."""
        box = tuple(slice(a, a + n) for a, n in zip(draw.start, draw.size, strict=True))
        depth, height, width = self.output_shape
        y, x = _plane(height, width, draw, volume.device)
        warped = _warp(_stretch(volume[box].float(), depth), y, x)
        inside = _nearest(mask[box], depth, y, x)
        return _gamma(warped + draw.shift, draw.gamma), inside


def _plane(height: int, width: int, draw: Draw, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where each pixel of a view's slice comes from in the resized slice, in its pixels."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device, dtype=torch.float32),
        torch.arange(width, device=device, dtype=torch.float32),
        indexing="ij",
    )
    if draw.angle:
        cy, cx = 0.5 * (height - 1), 0.5 * (width - 1)
        cos, sin = math.cos(draw.angle), math.sin(draw.angle)
        y, x = (
            (cy + cos * (y - cy) - sin * (x - cx)).clamp(0, height - 1),
            (cx + sin * (y - cy) + cos * (x - cx)).clamp(0, width - 1),
        )
    return y, (width - 1) - x if draw.flip else x


def _stretch(crop: Tensor, depth: int) -> Tensor:
    """Linear interpolation of the first axis to `depth`, cell centres aligned, edges repeated."""
    full = crop.shape[0]
    at = (torch.arange(depth, device=crop.device, dtype=torch.float32) + 0.5) * (full / depth) - 0.5
    at = at.clamp(0, full - 1)
    low = at.long()
    high = (low + 1).clamp(max=full - 1)
    return torch.lerp(crop[low], crop[high], (at - low)[:, None, None])


def _warp(slices: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Bilinear values of every slice at the same places; slices take the role of channels."""
    height, width = y.shape
    grid = torch.stack(((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), dim=-1)
    warped = functional.grid_sample(
        slices[None], grid[None], mode="bilinear", padding_mode="border", align_corners=False
    )
    return warped[0]


def _nearest(mask: Tensor, depth: int, y: Tensor, x: Tensor) -> Tensor:
    """The mask's voxel nearest to each place: floor(i * size / output), as torch resizes."""
    (full, rows, columns), (height, width) = mask.shape, y.shape
    row, column = y.round().long() * rows // height, x.round().long() * columns // width
    flat = mask.float().reshape(full, rows * columns)  # torch gathers floats faster than booleans
    plane = flat.index_select(1, (row * columns + column).reshape(-1))
    z = torch.arange(depth, device=mask.device) * full // depth
    return plane.index_select(0, z).reshape(depth, height, width).bool()


def _gamma(view: Tensor, gamma: float) -> Tensor:
    """Intensities scaled to [0, 1], raised to `gamma`, scaled back."""
    if gamma == 1.0:
        return view
    low, high = view.aminmax()
    spread = high - low
    return ((view - low) / (spread + 1e-7)).pow_(gamma).mul_(spread).add_(low)
