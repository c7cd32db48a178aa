"""The scale: what lies where, and what is said to those who do not see it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from runtime.report.page import scale


def age(value: float = 30.0, **more: Any) -> dict[str, Any]:
    evidence = {"label_range": [20.0, 40.0], "metric": "MAE", "value": 5.0}
    return {"kind": "regression", "value": value, "unit": "years", "evidence": evidence, **more}


def boxes(drawn: str, kind: str) -> list[tuple[float, float]]:
    found = re.findall(rf'class="{kind}" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', drawn)
    return [(float(x), float(x) + float(width)) for x, width in found]


def test_the_cohort_and_the_error_lie_about_the_value() -> None:
    drawn = scale.regression(age())
    ((left, right),) = boxes(drawn, "band")
    ((mark, end),) = boxes(drawn, "mark")
    assert (mark + end) / 2 == pytest.approx((left + right) / 2, abs=0.2)
    ((low, high),) = boxes(drawn, "error")
    assert (high - low) / (right - left) == pytest.approx(0.5, abs=0.01)
    assert "this scan 30 years, its cohort: 20.0 to 40.0, ± MAE in its cohort: 25.0 to 35" in drawn


def test_an_interval_takes_the_errors_place() -> None:
    drawn = scale.regression(age(interval={"low": 10.0, "high": 60.0, "level": 0.9}))
    assert boxes(drawn, "error") == []
    ((low, high),) = boxes(drawn, "bar")
    ((left, right),) = boxes(drawn, "band")
    assert low < left < right < high
    assert "90 % interval: 10.0 to 60.0" in drawn


def test_everything_stays_inside_however_far_the_value_is() -> None:
    for value in (-400.0, 30.0, 1e6, 0.0):
        drawn = scale.regression(age(value))
        for kind in ("band", "error", "mark"):
            ((low, high),) = boxes(drawn, kind)
            assert 0 <= low <= high <= 440


def test_quarters_of_the_cohort_are_lines() -> None:
    value = age()
    value["evidence"]["label_quartiles"] = [24.0, 28.0, 33.0]
    drawn = scale.regression(value)
    assert len(boxes(drawn, "halo")) == 4
    assert "its quarters" in drawn


def test_little_known_is_little_drawn() -> None:
    bare = {"kind": "regression", "value": 3.0, "unit": "x", "evidence": {}}
    assert "this scan" in scale.regression(bare)
    assert scale.regression(age(float("nan"))) == ""
    binary = {"kind": "binary", "value": 0.25, "classes": ["<F>", "M"], "evidence": {}}
    assert "&lt;F&gt; 0.75" in scale.binary(binary)
    ((left, right),) = boxes(scale.binary(binary), "bar")
    assert right - left == pytest.approx(0.25 * 408, abs=0.2)
