"""The benchmark's laws have the effects that they are said to have; one draw has all figures."""

from __future__ import annotations

import numpy as np

from benchmarks import harmonising


def test_sites_move_and_are_older_as_the_law_says():
    x, cohort = harmonising.drawn(0, apart=2.0, older=1.0)
    ages = cohort.labels.reshape(harmonising.SITES, harmonising.EACH).mean(axis=1)
    assert np.allclose(np.diff(ages), 10.0, atol=5.0)
    still, _ = harmonising.drawn(0)
    moved, _ = harmonising.drawn(0, along=2.0)
    between = [
        one.reshape(harmonising.SITES, harmonising.EACH, -1).mean(axis=1).std(axis=0).mean()
        for one in (still, moved, x)
    ]
    assert between[0] < 0.3 < 1.0 < min(between[1:])


def test_a_draw_has_all_figures(monkeypatch):
    monkeypatch.setattr(harmonising, "EACH", 20)
    monkeypatch.setattr(harmonising, "SITES", 3)
    found = harmonising.trial(*harmonising.drawn(0, apart=2.0))
    assert set(found) == {
        "cv, plain",
        "cv, harmonised",
        "left out, plain",
        "left out, harmonised",
        "own scans, harmonised",
    }
    assert found["own scans, harmonised"] < found["left out, plain"]
