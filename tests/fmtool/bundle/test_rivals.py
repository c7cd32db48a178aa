"""How a head compares with the models beside it, by its evidence."""

from __future__ import annotations

import pytest

from fmtool.bundle.rivals import BETTER, OPEN, WORSE, Rival, rivals, unbeaten

SCAN = "the linear model of the smoothed scan"


def evidence(metric, better, *between):
    beside = {"value": 6.0, "difference_interval": list(between), "head_is_better": better}
    return {"value": 5.0, "metric": metric, "smoothed_scan": beside}


@pytest.mark.parametrize(
    ("metric", "better", "low", "high", "verdict"),
    [
        ("MAE", True, -2.0, -0.1, BETTER),
        ("MAE", False, -2.0, 0.1, OPEN),
        ("MAE", False, 0.1, 2.0, WORSE),
        ("AUC", True, 0.1, 0.2, BETTER),
        ("AUC", False, -0.1, 0.2, OPEN),
        ("AUC", False, -0.2, -0.1, WORSE),
    ],
)
def test_the_interval_of_the_difference_decides(metric, better, low, high, verdict):
    found = evidence(metric, better, low, high)
    assert list(rivals(found)) == [Rival(SCAN, 6.0, verdict, (low, high))]
    assert len(unbeaten(found)) == (verdict != BETTER)


@pytest.mark.parametrize("absent", [{}, {"smoothed_scan": None}], ids=["older", "not measured"])
def test_what_was_not_measured_is_said_and_is_no_rival_that_won(absent):
    found = {"value": 5.0, "metric": "MAE", **absent}
    assert list(rivals(found)) == [Rival(SCAN)]
    assert unbeaten(found) == []


def test_a_head_that_nobody_was_tested_with_is_compared_with_nothing():
    assert list(rivals({"how": "unknown"})) == []
