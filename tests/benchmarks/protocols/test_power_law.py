from __future__ import annotations

import numpy as np
import pytest

from benchmarks.protocols.scaling import PowerLaw, exponent_interval, fit_law
from fmtool.errors import InputError

SIZES = np.array([10.0, 20.0, 40.0, 80.0, 160.0])


def test_points_of_a_known_law_give_it_back() -> None:
    found = fit_law(SIZES, 12.0 * SIZES**-0.3)
    assert (found.a, found.b, found.c) == (pytest.approx(12.0), pytest.approx(0.3), 0.0)
    np.testing.assert_allclose(found(SIZES), 12.0 * SIZES**-0.3)


@pytest.mark.parametrize(("b", "c"), [(0.3, 0.0), (0.5, 1.0), (1.0, 2.5), (0.8, 4.0)])
def test_a_floor_is_found(b: float, c: float) -> None:
    found = fit_law(SIZES, 12.0 * SIZES**-b + c, floor=True)
    assert found.b == pytest.approx(b, abs=0.02)
    assert found.c == pytest.approx(c, abs=0.05)


def test_a_law_without_its_floor_is_too_flat() -> None:
    assert fit_law(SIZES, 12.0 * SIZES**-0.5 + 1.0).b < 0.45


def test_the_interval_holds_the_exponent_and_narrows_with_the_noise() -> None:
    rng = np.random.default_rng(0)

    def width(noise: float) -> float:
        draws = PowerLaw(12.0, 0.3)(SIZES) * np.exp(rng.normal(0, noise, (400, len(SIZES))))
        low, high, used = exponent_interval(SIZES, draws)
        assert used == 400
        assert low < 0.3 < high
        return high - low

    # The slope's deviation is noise / sqrt(sum of squares of log n about its mean).
    logs = np.log(SIZES)
    spread = np.sqrt(np.square(logs - logs.mean()).sum())
    assert width(0.05) == pytest.approx(2 * 1.96 * 0.05 / spread, rel=0.15)
    assert width(0.01) == pytest.approx(2 * 1.96 * 0.01 / spread, rel=0.15)


def test_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(100):  # samples of 200 subjects' errors per size, resampled together
        errors = (
            PowerLaw(5.0, 0.2)(SIZES)
            * rng.gamma(2.0, 0.5, (200, 1))
            * rng.gamma(4.0, 0.25, (200, len(SIZES)))
        )
        picks = rng.integers(200, size=(200, 200))
        low, high, _ = exponent_interval(SIZES, errors[picks].mean(axis=1))
        held += low <= 0.2 <= high
    assert held >= 88


@pytest.mark.parametrize(
    ("n", "error", "floor"),
    [([10, 10], [1, 2], False), ([1, 2, 3], [3, 2, 1], True), ([1, 2, 3], [1, 0, 1], False)],
)
def test_what_has_no_law_is_refused(n: list[float], error: list[float], floor: bool) -> None:
    with pytest.raises(InputError):
        fit_law(np.array(n), np.array(error), floor)


def test_draws_without_a_logarithm_are_left_out() -> None:
    draws = np.stack([2 * SIZES**-0.5, 0 * SIZES])
    assert exponent_interval(SIZES, draws) == (pytest.approx(0.5), pytest.approx(0.5), 1)
    with pytest.raises(InputError):
        exponent_interval(SIZES, draws[1:])
