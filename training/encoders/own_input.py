"""A network that was trained on another input than fmtool's: its space and intensities, inside it.

What comes in is fmtool's crop, z-scored inside the brain and zero outside. With m the darkest voxel
of the brain, u is z - m inside and 0, black, outside, which is the stripped scan but for its scale:

    "resized"   r = u resampled (trilinear) onto the network's own size, as MONAI's `Resized` does
    "fsl"       r = u on the centre of FSL's MNI152 grid, 182x218x182 voxels along (x, y, z), x from
                the right to the left: whole voxels are moved, nothing is interpolated

    "z-score"   (r - mean) / deviation of the voxels above 0, as `NormalizeIntensity(nonzero=True)`
    "min-max"   r / max r, as `ScaleIntensity`
    "mean"      r / the mean of u over FSL's grid

A volume that has the network's own size is its input already; min-max leaves such a one as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from fmtool import space
from fmtool.errors import UsageError
from training.encoders.vit import Shape

RESIZED, FSL = "resized", "fsl"
Z_SCORE, MIN_MAX, MEAN = "z-score", "min-max", "mean"

MAX_SIDE = 256
"""Voxels of a network's own input along an axis."""

_FSL_SHAPE, _FSL_ORIGIN = (182, 218, 182), (90.0, -126.0, -72.0)
_FSL_SIGNS = (-1, 1, 1)


@dataclass(frozen=True)
class OwnInput:
    """What a network was trained on.

    Attributes:
        shape: voxels along the axes of `frame`: (z, y, x), or FSL's (x, y, z).
        intensities: one of `Z_SCORE`, `MIN_MAX` and `MEAN`.
        frame: `RESIZED` or `FSL`.

    Raises:
        UsageError: for another.
    """

    shape: Shape
    intensities: str = Z_SCORE
    frame: str = RESIZED

    def __post_init__(self) -> None:
        fine = len(self.shape) == 3 and all(type(n) is int and n > 0 for n in self.shape)
        most = _FSL_SHAPE if self.frame == FSL else (MAX_SIDE,) * 3
        if not fine or any(n > m for n, m in zip(self.shape, most, strict=True)):
            raise UsageError(f"a network's own input is not {self.shape!r:.60} voxels")
        if self.frame not in (RESIZED, FSL) or self.intensities not in (Z_SCORE, MIN_MAX, MEAN):
            raise UsageError(f"no input is {self.frame!r:.20} with {self.intensities!r:.20}")

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """One from `dataclasses.asdict`, as JSON has it."""
        return cls(tuple(given["shape"]), given["intensities"], given["frame"])  # type: ignore[arg-type]

    def enter(self, volume: Tensor) -> Tensor:
        """[B, 1, z, y, x], z-scored and of any size (the crop's, to "fsl") -> [B, 1, *shape]."""
        own = tuple(volume.shape[2:]) == self.shape
        if own and self.intensities != MIN_MAX:
            return volume
        inside = (volume != 0).to(volume.dtype)
        dark = (volume - volume.amin((2, 3, 4), keepdim=True)) * inside
        if self.frame == FSL:
            found = self._framed(dark)
        elif own:
            found = dark
        else:
            found = functional.interpolate(dark, self.shape, mode="trilinear", align_corners=False)
        if self.intensities == MIN_MAX:
            return found / found.amax((2, 3, 4), keepdim=True).clamp(min=1e-6)
        if self.intensities == MEAN:
            voxels = _FSL_SHAPE[0] * _FSL_SHAPE[1] * _FSL_SHAPE[2]
            return found * (voxels / _total(dark).clamp(min=1e-6))
        brain = (found > 0).to(found.dtype)
        count = _total(brain).clamp(min=1.0)
        centred = (found - _total(found) / count) * brain
        return centred / (_total(centred * centred) / count).clamp(min=1e-12).sqrt()

    def leave(self, maps: Tensor) -> Tensor:
        """A map along the axes of `frame` -> along (z, y, x)."""
        return maps.flip(2).permute(0, 1, 4, 3, 2) if self.frame == FSL else maps

    def onto_crop(self, first: list[float], step: list[float], count: Shape) -> list[list[float]]:
        """Where positions of a map lie, from voxels of the input to voxels of the crop.

        Args:
            first: the first position's centre along the axes of `frame`.
            step: between positions.
            count: the map's (z, y, x) positions, after `leave`.

        Returns:
            first and step, (z, y, x).
        """
        if self.frame == RESIZED:
            scale = [c / n for c, n in zip(space.CROP_SHAPE, self.shape, strict=True)]
            return [
                [(f + 0.5) * s - 0.5 for f, s in zip(first, scale, strict=True)],
                [n * s for n, s in zip(step, scale, strict=True)],
            ]
        start = self._start()
        last = start[0] + self.shape[0] - 1  # of x, which runs the other way
        turned = last - first[0] - step[0] * (count[2] - 1)
        return [[first[2] + start[2], first[1] + start[1], turned], [step[2], step[1], step[0]]]

    def _framed(self, volume: Tensor) -> Tensor:
        if tuple(volume.shape[2:]) != space.CROP_SHAPE:
            raise UsageError(
                f"this network takes {'x'.join(map(str, space.CROP_SHAPE))} voxels, the whole crop"
            )
        sides = []
        for axis, before in enumerate(self._start()):  # (x, y, z), the order that `pad` wants
            after = before + self.shape[axis] - space.CROP_SHAPE[2 - axis]
            sides += [-before, after]
        return functional.pad(volume, sides).permute(0, 1, 4, 3, 2).flip(2)

    def _start(self) -> list[int]:
        """(x, y, z) voxel of the crop at the low end of the input, by world coordinates."""
        found = []
        for axis, (whole, size) in enumerate(zip(_FSL_SHAPE, self.shape, strict=True)):
            cut = (whole - size) // 2
            index = cut if _FSL_SIGNS[axis] > 0 else cut + size - 1
            world = _FSL_ORIGIN[axis] + _FSL_SIGNS[axis] * index
            crop = space.GRID_ORIGIN[axis] + space.CROP_START[2 - axis]
            found.append(round(world - crop))
        return found


class Entered(nn.Module):
    """[B, 1, z, y, x] -> [B, F]: a network behind its own input.

    Args:
        network: by `training.encoders.architecture.build`, not gridded.
        own: what it was trained on.
    """

    def __init__(self, network: nn.Module, own: OwnInput) -> None:
        super().__init__()
        self.network, self.own = network, own

    def forward(self, volume: Tensor) -> Tensor:
        """The embedding."""
        found: Tensor = self.network(self.own.enter(volume))
        return found


def core(encoder: nn.Module) -> nn.Module:
    """The network without its own input: where the weights are."""
    return encoder.network if isinstance(encoder, Entered) else encoder


def _total(x: Tensor) -> Tensor:
    """Axis by axis: in one go ONNX Runtime adds millions of float32 one after the other."""
    for axis in (4, 3, 2):
        x = torch.sum(x, axis, keepdim=True)
    return x
