"""Why: a linear head's output is the mean over positions of w . f(position) + b, its map.

The map comes with the answer, from the same engine. What it says of a position is the answer that
the head would give if all of the brain looked like it; the mean of these answers is the answer.

**Where a position looks.** A residual network's convolutions and poolings are odd and padded on
both sides alike, so position i has its centre at voxel i x stride of the crop: 16 for the paper's
(10x12x12 positions on 150x192x192 voxels), the last centre 6 (z) and 15 (y, x) voxels before the
far edge; 2, 4 or 8 for one that is cut after an earlier stage. A transformer's position is its
patch. A bundle with other positions says where they lie (`map_first`, `map_step`: poolings of two
voxels, a network with an input of its own). Each sees far beyond its own cell: the map is coarse,
and its edges are not to be read as the brain's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fmtool import space
from fmtool.bundle import Bundle
from fmtool.errors import BundleError
from runtime.engines.base import Arrays

Array = NDArray[np.float32]

TOLERANCE = {"float32": 1e-4}
"""Largest difference of a map's mean from the output, relative to the output, or absolute where
that is below 1; every precision but float32 may differ by `ROUNDED`."""

ROUNDED = 1e-2


@dataclass(frozen=True)
class Attribution:
    """One task's map for one scan; of a multiclass task that of one class.

    Attributes:
        values: float32 (d, h, w), map axes (z, y, x): each position's own answer, in the task's
            unit, or as a logit of a task of classes.
        output: the model's output, in the same unit.
        reference: the template's map from the same engine; None where it is not known.
        affine: 4x4, map index (z, y, x) -> MNI RAS mm.
        label: the class whose logit it is, of a multiclass task; None of any other.
    """

    values: Array
    output: float
    reference: Array | None
    affine: NDArray[np.float64]
    label: str | None = None

    @property
    def difference(self) -> Array:
        """`values` less the template's, or less their mean where there is no template's.

        What is the same in every scan (the padding at the crop's edges, the background) falls
        away, and the mean is the output less the template's.
        """
        base = self.values.mean(dtype=np.float64) if self.reference is None else self.reference
        return np.asarray(self.values - base, dtype=np.float32)

    @property
    def error(self) -> float:
        """How far the map's mean is from the output, relative to max(1, |output|)."""
        mean = float(self.values.mean(dtype=np.float64))
        return abs(mean - self.output) / max(1.0, abs(self.output))

    def sample(self, grid: NDArray[np.float64], shape: Sequence[int]) -> Array:
        """`difference` on another grid, trilinear; beyond the last centres it stays as it is there.

        Args:
            grid: 4x4, index on that grid -> MNI RAS mm.
            shape: of that grid.
        """
        mapping = np.linalg.inv(self.affine) @ grid
        found = ndimage.affine_transform(
            self.difference,
            mapping[:3, :3],
            mapping[:3, 3],
            output_shape=tuple(shape),
            order=1,
            mode="nearest",
        )
        return np.asarray(found, dtype=np.float32)

    def inside(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which positions have their centre in the brain.

        Args:
            mask: the brain, crop axes (z, y, x).
        """
        to_crop = np.linalg.inv(space.crop_affine()) @ self.affine
        index = np.indices(self.values.shape).reshape(3, -1)
        voxel = np.rint(to_crop[:3, :3] @ index + to_crop[:3, 3:]).astype(int)
        voxel = np.clip(voxel, 0, np.array(mask.shape)[:, None] - 1)
        return np.asarray(mask[tuple(voxel)].reshape(self.values.shape))

    def image(self, transform: NDArray[np.float64]) -> nib.Nifti1Image:
        """`values` as an image that lies on the scan it was made from: its mean is the output.

        Every voxel is a position, rotated into place by the affine; nothing is interpolated.

        Args:
            transform: 4x4, template RAS mm -> scan RAS mm, of `Prepared`.
        """
        image = nib.Nifti1Image(self.values.transpose(2, 1, 0), transform @ self.affine @ _REVERSED)
        image.header.set_xyzt_units("mm")
        return image


_REVERSED = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=np.float64)
# (x, y, z) index -> (z, y, x) index


def read(
    bundle: Bundle, outputs: Arrays, reference: Arrays, tasks: Sequence[str]
) -> dict[str, list[Attribution]]:
    """The maps among a network's outputs, by task; a task without a map is left out.

    A task has one, or of several classes one each, in their order.

    Args:
        bundle: whose network it is.
        outputs: of one scan.
        reference: the maps of the template, by output.
        tasks: those wanted.

    Raises:
        BundleError: if a map does not fit the bundle's encoder.
    """
    found = {}
    for task, name in names(bundle).items():
        if task not in tasks or name not in outputs:
            continue
        count, values = bundle.tasks[task].outputs, outputs[name][0]
        labels = bundle.tasks[task].classes if count > 1 else None
        if len(values) != count:
            raise BundleError(
                f"the bundle has {len(values)} maps of {task}, which has {count} outputs; export "
                "the bundle again"
            )
        about = bundle.manifest.encoder_of(task)
        affine = placed(values.shape[1:], about.patch, about.map_first, about.map_step)
        base = reference[name][0] if name in reference else None
        found[task] = [
            Attribution(
                values[c],
                float(outputs[task][0, c]),
                None if base is None else base[c],
                affine,
                labels[c] if labels else None,
            )
            for c in range(count)
        ]
    return found


def names(bundle: Bundle) -> dict[str, str]:
    """The output that is the map of each task which has one."""
    return {name: entry.map for name, entry in bundle.manifest.tasks.items() if entry.map}


def placed(
    shape: Sequence[int],
    patch: Sequence[int] | None,
    first: Sequence[float] | None = None,
    step: Sequence[float] | None = None,
    crop: Sequence[int] = space.CROP_SHAPE,
) -> NDArray[np.float64]:
    """4x4, map index (z, y, x) -> MNI RAS mm.

    Args:
        shape: the map's positions along (z, y, x).
        patch: (z, y, x) voxels of a transformer's; None of a residual network.
        first, step: (z, y, x) voxels of the crop, where the bundle says them.
        crop: the network's input.

    Raises:
        BundleError: if a network of that kind has no such map.
    """
    if first is not None and step is not None:
        onto = np.diag([*step, 1.0])
        onto[:3, 3] = first
        return np.asarray(space.crop_affine() @ onto)
    steps = patch or [_stride(n, m) for n, m in zip(crop, shape, strict=True)]
    onto = np.diag([*map(float, steps), 1.0])
    if patch:
        # A patch's centre; where patches do not fill the crop, as much was added on either side.
        for axis, (n, m, side) in enumerate(zip(crop, shape, steps, strict=True)):
            onto[axis, 3] = (side - 1) / 2 - (m * side - n) // 2
    return np.asarray(space.crop_affine() @ onto)


def _stride(voxels: int, positions: int) -> int:
    """The power of two that halving `voxels` again and again, rounding up, takes to `positions`."""
    for power in range(10):
        if -(-voxels // 2**power) == positions:
            return int(2**power)
    raise BundleError(
        f"the bundle's maps have {positions} positions along {voxels} voxels, which no stride of "
        "its encoder gives; export the bundle again"
    )


def unequal(attribution: Attribution, task: str, precision: str) -> str | None:
    """A sentence for a map whose mean is not the output; None for one that is as exact as it must.

    Args:
        attribution: of the task.
        task: its name.
        precision: what the engine computes in.
    """
    allowed = TOLERANCE.get(precision, ROUNDED)
    if attribution.error <= allowed:
        return None
    return (
        f"The map of {task} does not add up to its value (off by {attribution.error:.1g}, allowed "
        f"{allowed:g}): do not read it."
    )
