from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import BSpline

from runtime.preprocess.bias.bspline import GridFit, Spline, basis, contract, refine


def scattered(
    points: NDArray[np.float64], values: NDArray[np.float64], spans: tuple[int, ...]
) -> NDArray[np.float64]:
    """Lee, Wolberg and Shin's algorithm BA, point by point and control point by control point."""
    shape = tuple(s + 3 for s in spans)
    delta, omega = np.zeros(shape), np.zeros(shape)
    for point, value in zip(points, values, strict=True):
        rows = [basis(point[a : a + 1], spans[a])[0] for a in range(3)]
        weights = {
            ijk: rows[0][ijk[0]] * rows[1][ijk[1]] * rows[2][ijk[2]]
            for ijk in itertools.product(*(range(n) for n in shape))
        }
        norm = sum(w * w for w in weights.values())
        for ijk, w in weights.items():
            delta[ijk] += w * w * (w * value / norm)
            omega[ijk] += w * w
    return np.where(omega > 0, delta / np.where(omega > 0, omega, 1.0), 0.0)


@pytest.mark.parametrize("spans", [1, 2, 5])
def test_basis_is_the_uniform_cubic_b_spline(spans: int) -> None:
    positions = np.linspace(0.0, 1.0, 17)
    knots = np.arange(-3, spans + 4) / spans
    expected = BSpline.design_matrix(positions, knots, 3).toarray()
    np.testing.assert_allclose(basis(positions, spans), expected, atol=1e-12)


def test_grid_fit_equals_the_fit_of_scattered_points() -> None:
    rng = np.random.default_rng(0)
    shape, spans = (5, 4, 6), (2, 1, 2)
    mask = rng.random(shape) < 0.6
    values = np.where(mask, rng.normal(size=shape), 0.0)
    positions = [np.sort(rng.random(n)) for n in shape]
    points = np.stack(np.meshgrid(*positions, indexing="ij"), axis=-1)[mask]
    fast = GridFit(positions, mask, spans).lattice(values)
    np.testing.assert_allclose(fast, scattered(points, values[mask], spans), atol=1e-12)


def test_grid_fit_leaves_unsupported_control_points_at_zero() -> None:
    mask = np.zeros((20, 20, 20), bool)
    mask[:4, :4, :4] = True
    lattice = GridFit([np.linspace(0, 1, 20)] * 3, mask, (8, 8, 8)).lattice(mask * 1.0)
    assert lattice[0, 0, 0] != 0.0
    assert not lattice[6:].any()


def test_refining_does_not_change_the_spline() -> None:
    lattice = np.random.default_rng(1).normal(size=(4, 5, 7))
    voxels = (np.linspace(0, 1, 9), np.linspace(-0.1, 0.8, 10), np.linspace(0.2, 0.9, 11))
    coarse = Spline(lattice, voxels).on_grid()
    finer = refine(lattice)
    assert finer.shape == (5, 7, 11)
    np.testing.assert_allclose(Spline(finer, voxels).on_grid(), coarse, atol=1e-5)


def test_contract_equals_einsum_even_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.preprocess.bias.bspline._ONE_THREAD", 50)
    rng = np.random.default_rng(2)
    tensor = rng.normal(size=(3, 4, 5))
    x, y, z = rng.normal(size=(3, 6)), rng.normal(size=(4, 7)), rng.normal(size=(5, 2))
    expected = np.einsum("abc,ai,bj,ck->ijk", tensor, x, y, z)
    np.testing.assert_allclose(contract(tensor, [x, y, z]), expected, atol=1e-12)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_on_grid_gives_the_field_in_any_memory_order(order: tuple[int, ...]) -> None:
    lattice = np.random.default_rng(3).normal(size=(4, 5, 7))
    voxels = (np.linspace(0, 1, 8), np.linspace(0.1, 1.2, 9), np.linspace(0, 1, 10))
    matrices = [basis(v, k - 3).T for v, k in zip(voxels, lattice.shape, strict=True)]
    field = Spline(lattice, voxels).on_grid(order)
    assert field.dtype == np.float32
    assert field.transpose(order).flags.c_contiguous
    np.testing.assert_allclose(field, contract(lattice, matrices), atol=1e-5)
