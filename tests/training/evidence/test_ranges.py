"""A cohort's ranges: its own width and half as much again, inside what is accepted."""

from __future__ import annotations

import numpy as np

from runtime.quality import KINDS, checks
from training.evidence.ranges import FEWEST, ranges


def cohort(count):
    """Facts whose values fill the middle of each check's own range."""
    random = np.random.default_rng(0)
    return [
        {
            "head": "whole",
            "registration_problem": "",
            "mask_at_border": 0.0,
            "slices": 10.0,
            "missing": 0.0,
            **{
                k.key: float(random.uniform(0.7 * k.normal[0] + 0.3 * k.normal[1], k.normal[1]))
                for k in KINDS
            },
        }
        for _ in range(count)
    ]


def test_the_cohorts_own_scans_pass_and_others_are_warned_of():
    facts = cohort(40)
    found = ranges(facts)
    assert set(found) == {kind.key for kind in KINDS}
    scan = {"spacing": [1.0, 1.0, 1.0]}
    for one in facts:
        assert {c.verdict for c in checks(scan, one, found)} == {"ok"}
    odd = {c.name: c.verdict for c in checks(scan, facts[0] | {"noise": 14.9}, found)}
    assert odd["Noise"] == "warn"


def test_a_range_is_half_as_wide_again_on_either_side():
    facts = [{"noise": v, "tilt": v} for v in np.linspace(4.0, 9.0, 5001)]
    low, high = 4.05, 8.95  # the 1st and the 99th percentile
    factor = (high / low) ** 0.5
    found = ranges(facts)
    np.testing.assert_allclose(found["noise"], (low / factor, high * factor), rtol=1e-3)
    np.testing.assert_allclose(found["tilt"], (0.0, high + 0.5 * (high - low)), rtol=1e-3)


def test_few_scans_and_missing_values_set_no_range():
    assert ranges(cohort(FEWEST - 1)) == {}
    facts = [*cohort(FEWEST - 1), {"noise": float("nan")}, {"noise": None}, {"shape": 0.93}]
    assert set(ranges(facts)) == {"shape"}
