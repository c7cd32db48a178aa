"""Repeatability: the pooled spread within people, whatever their number of scans."""

from __future__ import annotations

import numpy as np
import pytest

from fmtool.errors import InputError
from runtime.trust.repeatability import repeatability


def test_it_is_the_pooled_spread_and_who_was_scanned_once_does_not_count():
    found = repeatability([50, 52, 30, 31, 32, 99], ["a", "a", "b", "b", "b", "c"])
    # sums of squares 2 and 2 over 1 + 2 degrees of freedom
    assert found.spread == pytest.approx(np.sqrt(4 / 3))
    assert found.coefficient == pytest.approx(1.96 * np.sqrt(2 * 4 / 3))
    assert (found.participants, found.scans) == (2, 5)
    assert found.low < found.coefficient < found.high
    assert found.to_dict()["spread"] == found.spread


def test_its_interval_holds_the_truth_as_often_as_it_says():
    rng, hits = np.random.default_rng(0), 0
    who = np.repeat([f"s{i}" for i in range(8)], 3)
    for _ in range(400):
        values = np.repeat(rng.normal(50, 15, 8), 3) + rng.normal(0, 2.0, 24)
        found = repeatability(values, who)
        hits += found.low <= 1.96 * np.sqrt(2) * 2.0 <= found.high
    assert 0.92 < hits / 400 < 0.98


def test_equal_repeats_have_no_spread_and_nobody_twice_is_refused():
    found = repeatability([4.0, 4.0], ["a", "a"])
    assert (found.spread, found.high) == (0.0, 0.0)
    with pytest.raises(InputError, match="no participant has two scans"):
        repeatability([1.0, 2.0], ["a", "b"])
