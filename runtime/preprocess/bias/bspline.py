"""Cubic B-splines on a regular grid, with every operation separable over the three axes.

The scattered-data approximation of Lee, Wolberg and Shin visits every point and its 64 control
points. When the points lie on a regular grid, each point's weight is a product of three
one-dimensional weights, so both of the method's sums factorise into three small matrix products.

Source: Lee, Wolberg, Shin 1997, doi:10.1109/2945.620490 (section 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Real = TypeVar("Real", bound=np.floating[Any])

_ONE_THREAD = 2**18  # multiplications; above this OpenBLAS shares a product among its threads


def basis(positions: Array, spans: int) -> Array:
    """The uniform cubic B-spline weights of points on one axis.

    Args:
        positions: (n,), fractions of the axis, from 0 to 1; what lies beyond counts as its end.
        spans: polynomial pieces over the axis; there are spans + 3 control points.

    Returns:
        (n, spans + 3), four weights other than zero in each row, which add up to 1.
    """
    scaled = np.clip(positions, 0.0, 1.0) * spans
    cell = np.minimum(scaled.astype(np.intp), spans - 1)  # 1 ends the last piece
    t = scaled - cell
    four = np.stack(
        [
            (1.0 - t) ** 3,
            3.0 * t**3 - 6.0 * t**2 + 4.0,
            -3.0 * t**3 + 3.0 * t**2 + 3.0 * t + 1.0,
            t**3,
        ],
        axis=1,
    )
    weights = np.zeros((len(scaled), spans + 3))
    np.put_along_axis(weights, cell[:, None] + np.arange(4), four / 6.0, axis=1)
    return weights


def contract(tensor: NDArray[Real], matrices: Sequence[NDArray[Real]]) -> NDArray[Real]:
    """Multiply each axis of a (a, b, c) tensor by its own matrix: (a, i), (b, j), (c, k).

    Returns:
        (i, j, k), C-contiguous. Each product takes the first axis away and appends its
        successor, so that after three of them the order is the old one and nothing was copied.
    """
    for matrix in matrices:
        flat = tensor.reshape(tensor.shape[0], -1).T
        tensor = _product(flat, matrix).reshape(*tensor.shape[1:], matrix.shape[1])
    return tensor


def _product(left: NDArray[Real], right: NDArray[Real]) -> NDArray[Real]:
    """`left @ right`, (m, n) by (n, k), in slices small enough to stay on one BLAS thread.

    These products are bound by memory. A second thread hardly speeds them up on idle cores, and
    on busy ones the threads' waiting for each other costs many times the product.
    """
    out: NDArray[Real] = np.empty((left.shape[0], right.shape[1]), dtype=left.dtype)
    rows = max(1, _ONE_THREAD // right.size)
    for start in range(0, len(out), rows):
        np.matmul(left[start : start + rows], right, out=out[start : start + rows])
    return out


class GridFit:
    """Approximates values on a masked regular grid by a lattice of control points.

    Args:
        positions: for each axis (n,), fractions of that axis, as in `basis`.
        mask: bool (nx, ny, nz): the grid points that carry a value.
        spans: polynomial pieces per axis.
    """

    def __init__(
        self, positions: Sequence[Array], mask: NDArray[np.bool_], spans: Sequence[int]
    ) -> None:
        bases = [basis(p, s) for p, s in zip(positions, spans, strict=True)]
        self._evaluation = [b.T.copy() for b in bases]
        # A point's control points each claim w^2 / sum(w^2) of its value; claims are averaged
        # with the weights w^2. Hence w^3 / sum(w^2) here, and w^2 in the denominator.
        self._claims = [b**3 / (b**2).sum(axis=1, keepdims=True) for b in bases]
        total = contract(mask.astype(np.float64), [b**2 for b in bases])
        self._per_weight = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0.0)

    def lattice(self, values: Array) -> Array:
        """Control points (spans + 3 per axis) for values (nx, ny, nz), zero outside the mask.

        A control point that no masked point supports is zero.
        """
        lattice: Array = contract(values, self._claims) * self._per_weight
        return lattice

    def evaluate(self, lattice: Array) -> Array:
        """The spline on the grid, (nx, ny, nz)."""
        return contract(lattice, self._evaluation)


def refine(lattice: Array) -> Array:
    """The same spline on twice as many spans: n control points per axis become 2n - 3."""
    matrices = []
    for n in lattice.shape:
        # An old control point spreads over five new ones; those beyond the ends are not needed.
        spread = np.zeros((n, 2 * n + 3))
        for i in range(n):
            spread[i, 2 * i : 2 * i + 5] = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 8.0
        matrices.append(spread[:, 3 : 2 * n])
    return contract(lattice, matrices)


@dataclass(frozen=True)
class Spline:
    """A smooth scalar field at a volume's voxels.

    Attributes:
        lattice: control points, spans + 3 per axis.
        voxels: for each axis (n,), where the volume's voxels lie, as `basis` takes it.
    """

    lattice: Array
    voxels: tuple[Array, Array, Array]

    def on_grid(self, order: Sequence[int] = (0, 1, 2)) -> NDArray[np.float32]:
        """The field at every voxel, (x, y, z).

        Args:
            order: the axes from the slowest to the fastest in memory; element-wise arithmetic
                with a volume of another order than the field's own costs several times more.
        """
        matrices = [
            basis(self.voxels[a], self.lattice.shape[a] - 3).T.astype(np.float32) for a in order
        ]
        field = contract(self.lattice.astype(np.float32).transpose(order), matrices)
        return field.transpose(np.argsort(order))
