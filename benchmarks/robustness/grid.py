"""The scanner's grid laid otherwise through the same head: turned, shifted, finer or coarser.

The voxels are interpolated and the affine says where they now lie, so that every landmark keeps
its place in RAS mm. Interpolation is by B-splines of order 5, close to the ideal of a band-limited
signal. Towards coarser voxels a Gaussian comes first, so wide that the point spread, taken as
Gaussian with the voxel's size as its full width at half maximum, grows to that of the new voxels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from benchmarks.robustness.head import PerturbedHead
from runtime.transform import rotation

ORDER = 5
_FWHM = float(np.sqrt(8.0 * np.log(2.0)))


def resampled(
    head: PerturbedHead, affine: NDArray[np.float64], shape: tuple[int, ...]
) -> PerturbedHead:
    """The head on another grid; zero beyond its own.

    Args:
        affine: 4x4, the new grid's voxel -> RAS mm.
        shape: its voxels.
    """
    mapping = np.linalg.inv(head.affine) @ affine
    coarser = np.linalg.norm(mapping[:3, :3], axis=1)  # new voxels' extent along each old axis
    sigma = np.sqrt(np.maximum(coarser**2 - 1.0, 0.0)) / _FWHM
    source = ndimage.gaussian_filter(head.array, sigma) if sigma.max() > 1e-3 else head.array

    outline = None
    if head.outline is not None:
        outline = _read(head.outline.astype(np.float32), mapping, shape, 1) >= 0.5
    blank = PerturbedHead(np.zeros(shape, dtype=np.float32), affine, outline)
    return blank.with_values(_read(source, mapping, shape, ORDER))


def turned(head: PerturbedHead, axis: ArrayLike, degrees: float) -> PerturbedHead:
    """An oblique acquisition: the grid turned about the array's centre, as large as the head needs.

    Args:
        axis: of the rotation, RAS, any length.
    """
    direction = np.asarray(axis, dtype=np.float64)
    turn = rotation(np.deg2rad(degrees) * direction / np.linalg.norm(direction))
    size = np.array(head.array.shape)
    middle = (head.affine @ np.append((size - 1) / 2.0, 1.0))[:3]
    affine = np.eye(4)
    affine[:3, :3] = turn @ head.affine[:3, :3]
    across = np.abs(np.linalg.inv(affine[:3, :3]) @ head.affine[:3, :3]) @ size
    shape = tuple(int(n) for n in np.ceil(across))
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.array(shape) - 1) / 2.0)
    return resampled(head, affine, shape)


def shifted(head: PerturbedHead, voxels: ArrayLike) -> PerturbedHead:
    """The grid moved by so many voxels along its axes; fractions are what tests interpolation."""
    affine = head.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.asarray(voxels, dtype=np.float64)
    return resampled(head, affine, head.array.shape)


def spaced(head: PerturbedHead, millimetres: float) -> PerturbedHead:
    """Isotropic voxels of so many mm over the same field of view."""
    factor = millimetres / head.spacing
    size = np.array(head.array.shape)
    shape = tuple(int(n) for n in np.maximum(np.rint(size / factor), 1))
    affine = head.affine.copy()
    affine[:3, :3] = head.affine[:3, :3] * factor
    middle = head.affine[:3, :3] @ ((size - 1) / 2.0) + head.affine[:3, 3]
    affine[:3, 3] = middle - affine[:3, :3] @ ((np.array(shape) - 1) / 2.0)
    return resampled(head, affine, shape)


def moved(head: PerturbedHead, pose: NDArray[np.float64]) -> PerturbedHead:
    """The head itself lying elsewhere: each point p (RAS mm) is now at `pose @ p`, 4x4 rigid.

    The scanner's grid stays where it is, so the voxels are interpolated; what leaves the field of
    view is lost.
    """
    grid = np.linalg.inv(pose) @ head.affine
    found = resampled(head, grid, head.array.shape)
    return PerturbedHead(found.array, head.affine, found.outline)


def _read(
    array: NDArray[np.float32], mapping: NDArray[np.float64], shape: tuple[int, ...], order: int
) -> NDArray[np.float32]:
    """`array` at `mapping @ index` for every index of `shape`; zero outside.

    Where the axes keep their directions the spline factorises, and three small matrices take the
    place of `(order + 1) ** 3` terms a voxel.
    """
    turn, start = mapping[:3, :3], mapping[:3, 3]
    if not np.allclose(turn, np.diag(np.diag(turn)), atol=1e-12):
        found = ndimage.affine_transform(array, turn, start, output_shape=shape, order=order)
        return np.asarray(found, dtype=np.float32)
    for axis in range(3):
        places = turn[axis, axis] * np.arange(shape[axis]) + start[axis]
        weights = _weights(places, array.shape[axis], order)
        array = np.moveaxis(np.tensordot(weights, array, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(array)


def _weights(places: NDArray[np.float64], size: int, order: int) -> NDArray[np.float32]:
    """(n, size): what each of `size` samples on a line counts for at each of n places."""
    columns = [ndimage.map_coordinates(unit, places[None], order=order) for unit in np.eye(size)]
    return np.stack(columns, axis=1).astype(np.float32)
