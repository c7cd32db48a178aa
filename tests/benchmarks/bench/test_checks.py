"""The grammar of `--check`, and who is judged."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.bench.columns import Bound, columns, missed, parse
from fmtool import task
from fmtool.errors import UsageError

METRICS = [column.name for column in columns([task.AGE, task.SEX], (1, 4), with_scan=False)]


def test_bounds_are_read() -> None:
    assert parse("latency_p90<4, age_shift < 5e-1,share_of_peak>0.7", METRICS) == [
        Bound("latency_p90", True, 4.0),
        Bound("age_shift", True, 0.5),
        Bound("share_of_peak", False, 0.7),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not understand ''"),
        ("latency_p90", "does not understand"),
        ("latency_p90<=4", "does not understand"),
        ("latency_p90<4,", "does not understand ''"),
        ("latency_p90=4", "does not understand"),
        ("latency_p90<four", "needs a number"),
        ("latency_p90<nan", "needs a number"),
        ("latency_p90<inf", "needs a number"),
        ("latency<4", "it knows latency_median, latency_p90"),
        ("throughput_2>1", "throughput_1, throughput_4"),
        ("pipeline_strip<1", "knows no 'pipeline_strip'"),
    ],
)
def test_anything_else_is_said(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse(text, METRICS)


def system(name: str, peer: bool = False, **metrics: float | None) -> dict[str, Any]:
    return {"name": name, "peer": peer, "metrics": metrics, "reasons": {"energy": "no counter"}}


def test_every_engine_is_judged_and_torch_is_not() -> None:
    bounds = parse("latency_p90<4,energy<100", METRICS)
    found = missed(
        bounds,
        [
            system("fast", latency_p90=1.0, energy=10.0),
            system("even", latency_p90=4.0, energy=10.0),
            system("odd", latency_p90=float("nan"), energy=None),
            system("torch", peer=True, latency_p90=9.0, energy=None),
        ],
    )
    assert found == [
        "even: latency_p90<4 is missed: it is 4",
        "odd: latency_p90<4 is missed: it is nan",
        "odd: energy<100 cannot be told: no counter",
    ]


def test_with_a_scan_there_are_stages() -> None:
    names = [column.name for column in columns([], (1,), with_scan=True)]
    assert {"pipeline_strip", "pipeline_total"} <= set(names)
    assert len(names) == len(set(names))
