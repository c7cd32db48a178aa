"""The paper's augmentation as one fused resampling, on CPU and GPU tensors alike.

The recipe of 3D-Neuro-SimCLR (arXiv 2509.10620), in order, on volume and mask together:

    crop -> resize -> flip of the last axis -> rotation about the first axis -> intensity shift
    -> gamma -> masked z-score

`training.augment.warp` makes the first four at once; `training.augment.monai` is the same recipe
one transform after the other, which this one agrees with. Each part can be left out, with the
numbers of the others drawn as before; `training.augment.intensity` offers more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from fmtool.errors import InputError, UsageError
from fmtool.space import CROP_SHAPE
from training.augment import warp
from training.augment.intensity import Intensity
from training.augment.warp import Shape

PARTS = ("crop", "flip", "rotation", "shift", "gamma")
MIN_CROP: Shape = (30, 40, 40)
ANGLE = 0.785
TRIES = 100  # a usable scan gives a usable view in one or two


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
        parts: which of `PARTS` to apply. The intensity shift is not among them unless named,
            because it does nothing: the masked z-score removes any constant that is added.
            Whatever the parts, a generator's first draw gives the others the same numbers.
        intensity: changes of intensity beyond the paper's, before the z-score; none if absent.

    Raises:
        UsageError: for a part that there is not, or an empty view or crop.

    Example:
        >>> import torch
        >>> from training.augment import SimCLRAugment
        >>> augment = SimCLRAugment(output_shape=(24, 32, 32), min_crop=(20, 20, 20))
        >>> volume, mask = torch.rand(1, 48, 64, 64), torch.ones(1, 48, 64, 64)
        >>> view = augment(volume, mask, torch.Generator().manual_seed(0))
        >>> view.shape, bool(view.mean().abs() < 0.1)  # z-scored inside the mask
        (torch.Size([1, 24, 32, 32]), True)
    """

    output_shape: Shape = CROP_SHAPE
    min_crop: Shape = MIN_CROP
    parts: frozenset[str] = frozenset(PARTS) - {"shift"}
    intensity: Intensity | None = None

    def __post_init__(self) -> None:
        for name, sides in (("a view", self.output_shape), ("a crop", self.min_crop)):
            if min(sides) < 1:
                raise UsageError(f"{name} has a voxel or more along each axis, not {sides}")
        if unknown := sorted(self.parts - set(PARTS)):
            raise UsageError(
                f"unknown augmentation {', '.join(map(repr, unknown))}; there are "
                f"{', '.join(PARTS)}"
            )

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
        volume, mask = volume.reshape(volume.shape[-3:]), mask.reshape(mask.shape[-3:])
        for _ in range(TRIES):
            view, inside = self.apply(volume, mask, self.draw(volume.shape, generator))
            if self.intensity is not None and bool(inside.any()):
                # Drawn last, so that the paper's numbers are those without them.
                view = self.intensity(view, inside, generator)
            if zscore_(view, inside):
                return view.reshape(*leading, *self.output_shape)
        raise InputError(
            f"no usable view in {TRIES} draws: the mask is empty or the volume is not finite"
        )

    def draw(self, shape: torch.Size, generator: Generator) -> Draw:
        """The random numbers of one view of a volume of `shape`; always equally many."""
        uniform = torch.rand(14, generator=generator, device=generator.device, dtype=torch.float64)
        u = uniform.tolist()
        least = self.min_crop if "crop" in self.parts else tuple(shape)
        low = [min(a, n) for a, n in zip(least, shape, strict=True)]
        size = [
            a + int(u[i] * (n - a + 1)) for i, (a, n) in enumerate(zip(low, shape, strict=True))
        ]
        start = [
            int(u[3 + i] * (n - s + 1)) for i, (s, n) in enumerate(zip(size, shape, strict=True))
        ]
        rotated, shifted = u[7] < 0.5 and "rotation" in self.parts, u[9] < 0.8
        return Draw(
            start=(start[0], start[1], start[2]),
            size=(size[0], size[1], size[2]),
            flip=u[6] < 0.5 and "flip" in self.parts,
            angle=(2.0 * u[8] - 1.0) * ANGLE if rotated else 0.0,
            shift=u[10] - 0.5 if shifted and "shift" in self.parts else 0.0,
            gamma=0.5 + u[12] if u[11] < 0.8 and "gamma" in self.parts else 1.0,
        )

    def apply(self, volume: Tensor, mask: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
        """The view and its mask, before the z-score, both float32 (z, y, x) of `output_shape`.

        The mask is one inside and zero outside.
        """
        box = tuple(slice(a, a + n) for a, n in zip(draw.start, draw.size, strict=True))
        how = (self.output_shape, draw.angle, draw.flip)
        view = warp.linear(volume[box], *how)
        if draw.shift:
            view.add_(draw.shift)
        crop = mask[box]
        inside = warp.nearest(crop if crop.dtype == torch.bool else crop > 0, *how)
        return _gamma_(view, draw.gamma), inside


def _gamma_(view: Tensor, gamma: float) -> Tensor:
    """Intensities scaled to [0, 1], raised to `gamma`, scaled back, in place.

    By logarithms to base two, which vectorise better than `pow`; those of zeros would be slow, so
    they are taken as 1e-15 of the range, at most 4e-8 of it once raised.
    """
    if gamma == 1.0:
        return view
    low, high = view.aminmax()
    spread = (high - low).clamp(min=1e-20)
    scale = (1.0 - gamma) * spread.log2()
    view.sub_(low).clamp_(min=1e-15 * spread)
    return view.log2_().mul_(gamma).add_(scale).exp2_().add_(low)


def zscore_(view: Tensor, inside: Tensor) -> bool:
    """`training.encoders.masked_zscore` of one volume in place; whether the view can be used.

    A view without brain, of one value or with a number that is not finite cannot.

    Args:
        view: float32 (z, y, x).
        inside: same shape, one inside the brain and zero outside.
    """
    count = inside.sum()
    view.mul_(inside)
    mean = view.sum() / count
    view.sub_(mean).mul_(inside)
    # Slice by slice: a single sum over all voxels is less exact in float32.
    variance = torch.linalg.vector_norm(view, dim=(-2, -1)).square().sum() / count
    view.div_(torch.sqrt(variance + 1e-12))
    return bool(torch.isfinite(variance) & (variance > 1e-12 * mean.square()))  # above rounding
