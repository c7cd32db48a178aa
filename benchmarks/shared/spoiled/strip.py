"""Brain masks as failed skull strips draw them, and stages that go on with such a mask."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from benchmarks.shared.spoiled.contrast import Mask, Random, Volume
from runtime.preprocess import crop, intensity
from runtime.preprocess.pipeline import Prepared, Preprocessor, _Found
from runtime.scan import Scan


def skull_left(brain: Mask, spacing: np.ndarray, random: Random) -> Mask:
    """12 mm of skull, eyes and neck left on all around."""
    return np.asarray(ndimage.distance_transform_edt(~brain, sampling=spacing) < 12.0)


def eaten(brain: Mask, spacing: np.ndarray, random: Random) -> Mask:
    """The cortex gone: 8 mm taken off all around."""
    return np.asarray(ndimage.distance_transform_edt(brain, sampling=spacing) > 8.0)


def lobe_gone(brain: Mask, spacing: np.ndarray, random: Random) -> Mask:
    """A ball of 45 mm radius about a point of the surface taken away."""
    surface = np.argwhere(brain & ~ndimage.binary_erosion(brain))
    centre = surface[random.integers(len(surface))]
    grids = np.ogrid[tuple(map(slice, brain.shape))]
    squared = sum(((g - c) * s) ** 2 for g, c, s in zip(grids, centre, spacing, strict=True))
    return np.asarray(brain & (squared > 45.0**2))


def side_gone(brain: Mask, spacing: np.ndarray, random: Random) -> Mask:
    """One hemisphere only."""
    middle = int(np.argwhere(brain)[:, 0].mean())
    kept = brain.copy()
    kept[: middle if random.integers(2) else 0] = False
    if kept.sum() == brain.sum():
        kept[middle:] = False
    return kept


class Redrawn(Preprocessor):
    """The stages, with the brain mask of the next scan given instead of found.

    Attributes:
        mask: what kind of head it is, and its brain, bool, on the whole grid of the scan; None to
            have it found. The stages see less of the scan, and maybe in another order of voxels
            (`runtime.preprocess.crop`, `runtime.preprocess.upright`): the mask goes along.
    """

    mask: tuple[str, Mask] | None = None
    _given: Mask
    _from: np.ndarray

    def brain(self, scan: Scan) -> tuple[str, Mask]:
        """What kind of head it is, and its brain on the scan's grid, as the strip finds them."""
        box = crop.content(scan.array, np.linalg.norm(scan.affine[:3, :3], axis=0))
        head, found, _ = super()._brain(intensity.level(scan.array[box]))
        brain = np.zeros(scan.array.shape, dtype=bool)
        brain[box] = found
        return head, brain

    def _stages(self, scan: Scan) -> Prepared:
        self._from = np.linalg.inv(scan.affine)
        return super()._stages(scan)

    def _found(self, level: Volume, affine: np.ndarray, timings: dict[str, float]) -> _Found:
        if self.mask is not None:
            index = np.rint(self._from @ affine)  # from the level's voxels to the scan's
            self._given = np.asarray(
                ndimage.affine_transform(
                    self.mask[1], index[:3, :3], index[:3, 3], output_shape=level.shape, order=0
                )
            )
        return super()._found(level, affine, timings)

    def _brain(self, array: Volume) -> tuple[str, Mask, float | None]:
        if self.mask is None:
            return super()._brain(array)
        return self.mask[0], self._given, 0.0 if self.mask[0] == "stripped" else None
