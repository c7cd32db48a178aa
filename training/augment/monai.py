"""The paper's augmentation in MONAI's own transforms: the slow reference of `training.augment`.

The recipe of 3D-Neuro-SimCLR (arXiv 2509.10620), on volume and mask together:

    crop -> resize -> flip of the last axis -> rotation about the first axis -> intensity shift
    -> gamma -> masked z-score

`recipe` draws at random, as upstream's training does; `drawn` reads what it drew; `apply` makes the
view of given numbers, one transform after the other.
"""

from __future__ import annotations

import torch
from monai.data import MetaTensor
from monai.transforms import (
    AdjustContrast,
    Compose,
    Flip,
    RandAdjustContrastd,
    RandFlipd,
    RandRotated,
    RandShiftIntensityd,
    RandSpatialCropd,
    Resize,
    Resized,
    Rotate,
    ShiftIntensity,
)
from torch import Tensor

from fmtool.errors import InputError
from fmtool.space import CROP_SHAPE
from training.augment import ANGLE, MIN_CROP, TRIES, Draw
from training.augment.warp import Shape
from training.encoders import masked_zscore

_BOTH = ("volume", "mask")
_NEAREST = ("trilinear", "nearest")


def recipe(output_shape: Shape = CROP_SHAPE, min_crop: Shape = MIN_CROP) -> Compose:
    """Upstream's random transforms of {"volume", "mask"}, each (1, z, y, x).

    Seed it with its `set_random_state`; the z-score and the drawing again are in `view`.
    """
    return Compose(
        [
            RandSpatialCropd(_BOTH, roi_size=min_crop, random_center=True, random_size=True),
            Resized(_BOTH, spatial_size=output_shape, mode=_NEAREST),
            RandFlipd(_BOTH, prob=0.5, spatial_axis=[2]),
            RandRotated(_BOTH, range_x=ANGLE, prob=0.5, mode=_NEAREST),
            RandShiftIntensityd(("volume",), offsets=0.5, prob=0.8),
            RandAdjustContrastd(("volume",), gamma=(0.5, 1.5), prob=0.8),
        ]
    )


def view(compose: Compose, volume: Tensor, mask: Tensor) -> Tensor:
    """One random view (z, y, x), z-scored inside its mask, drawn again while it is not usable.

    Args:
        compose: by `recipe`.
        volume: float (z, y, x).
        mask: same shape, above zero inside the brain.

    Raises:
        InputError: if no draw gives a view with brain in it and finite values.
    """
    for _ in range(TRIES):
        made = compose({"volume": volume[None], "mask": mask.float()[None]})
        scored = masked_zscore(made["volume"].as_tensor(), made["mask"].as_tensor())[0]
        if bool(scored.any()) and bool(torch.isfinite(scored).all()):
            return scored
    raise InputError(
        f"no usable view in {TRIES} draws: the mask is empty or the volume is not finite"
    )


def drawn(compose: Compose) -> Draw:
    """The numbers that `compose`, by `recipe`, drew last."""
    crop, _, flip, rotate, shift, gamma = compose.transforms
    z, y, x = crop.cropper._slices
    return Draw(
        start=(int(z.start), int(y.start), int(x.start)),
        size=(int(z.stop - z.start), int(y.stop - y.start), int(x.stop - x.start)),
        flip=bool(flip._do_transform),
        angle=float(rotate.rand_rotate.x) if rotate._do_transform else 0.0,
        shift=float(shift.shifter._offset) if shift._do_transform else 0.0,
        gamma=float(gamma.adjuster.gamma_value) if gamma._do_transform else 1.0,
    )


def apply(
    volume: Tensor, mask: Tensor, draw: Draw, output_shape: Shape = CROP_SHAPE
) -> tuple[Tensor, Tensor]:
    """The view of `draw`, z-scored, and its mask, both (z, y, x) of `output_shape`.

    Args:
        volume: float (z, y, x).
        mask: same shape, above zero inside the brain.
        draw: what the view is made with; its rotation is the last resampling of three.
        output_shape: voxels of the view.
    """
    view = _moved(volume.float(), draw, output_shape, "trilinear")
    inside = _moved((mask > 0).float(), draw, output_shape, "nearest") > 0
    view = AdjustContrast(gamma=draw.gamma)(ShiftIntensity(draw.shift)(view))
    return masked_zscore(view.as_tensor(), inside.as_tensor())[0], inside.as_tensor()[0]


def _moved(array: Tensor, draw: Draw, output_shape: Shape, mode: str) -> MetaTensor:
    (z, y, x), (depth, height, width) = draw.start, draw.size
    step = array[None, z : z + depth, y : y + height, x : x + width]
    step = Resize(output_shape, mode=mode)(step)
    if draw.flip:
        step = Flip(spatial_axis=2)(step)
    if draw.angle:
        step = Rotate((draw.angle, 0.0, 0.0), mode=mode)(step)
    return step
