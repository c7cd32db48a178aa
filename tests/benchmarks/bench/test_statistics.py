"""Percentiles and ratios against their definitions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from benchmarks.bench import record


def naive(values: list[float], percent: int) -> float:
    """The smallest value that at least so many of a hundred do not exceed, by trying each."""
    return min(
        v
        for v in values
        if Fraction(sum(w <= v for w in values), len(values)) >= Fraction(percent, 100)
    )


@pytest.mark.parametrize("n", [1, 2, 9, 10, 11, 99, 100, 101, 1000])
@pytest.mark.parametrize("percent", [1, 50, 90, 99, 100])
def test_a_percentile_is_the_nearest_rank(n: int, percent: int) -> None:
    values = np.random.default_rng(n).lognormal(size=n).tolist()
    assert record.percentile(values, percent) == naive(values, percent)


def test_no_outlier_is_left_out() -> None:
    found = record.summary([[1.0] * 50, [1.0] * 49 + [100.0]])
    assert (found.n, found.max, found.min, found.median) == (100, 100.0, 1.0, 1.0)
    assert (found.p90, found.p99) == (1.0, 1.0)
    assert record.summary([[1.0] * 9 + [100.0]]).p99 == 100.0


def test_a_burden_on_both_cancels() -> None:
    burden = [1.0, 3.0, 1.0, 2.0, 1.0, 1.0]
    fast = [[b * 0.1] for b in burden]
    slow = [[b * 0.25] for b in burden]
    assert record.ratio(slow, fast) == pytest.approx((2.5, 2.5, 2.5))


def test_a_burden_on_one_widens_the_interval() -> None:
    rng = np.random.default_rng(0)
    fast, slow = ([[v] for v in rng.lognormal(sigma=0.5, size=10)] for _ in range(2))
    value, low, high = record.ratio(slow, fast)
    assert low < value < high
    assert high / low > 1.5


def test_rounds_are_compared_side_by_side() -> None:
    with pytest.raises(ValueError, match="side by side"):
        record.ratio([[1.0]], [[1.0], [1.0]])
