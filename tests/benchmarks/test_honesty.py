"""What a card says, held against new people: the simulation with fewer repeats."""

from __future__ import annotations

import pytest

from benchmarks import honesty

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_REPEATS = 60


def test_intervals_hold_what_they_say(monkeypatch):
    monkeypatch.setattr(honesty, "SIZES", (12, 60))
    monkeypatch.setattr(honesty, "bootstrap", lambda cohort, found, seed: (0.0, 1e9))
    found = dict(honesty.intervals(_REPEATS))
    assert len(found) == (2 + 3) * 2 * 2
    for figures in found.values():  # of 60, 95 % is 57; three standard errors are five
        assert figures["holds"] >= 0.86
    together = [figures["holds"] for figures in found.values()]
    assert 0.92 <= sum(together) / len(together) <= 0.99


def test_noise_is_not_sold():
    for figures in dict(honesty.noise(_REPEATS)).values():
        assert figures["beats"] <= 0.17  # 5 % of 60 or of 6, and chance


def test_what_is_told_of_new_scans_is_so(monkeypatch):
    monkeypatch.setattr(honesty, "SIZES", (60,))
    found = dict(honesty.limits(_REPEATS))
    age, weak, good = (found[f"{name}, n 60"] for name in _LAWS)
    for figures in (age, weak, good):
        assert figures["holds"] >= 0.86
    assert age["width told"] == pytest.approx(age["width"], rel=0.1)
    assert age["corrected MAE told"] == pytest.approx(age["corrected MAE"], rel=0.15)
    assert abs(age["slope of corrected"] - 1.0) <= abs(age["slope, then"] - 1.0)
    for figures in (weak, good):
        assert figures["one class told"] == pytest.approx(figures["one class"], abs=0.08)
        assert figures["warned"] <= 0.03
    assert good["empty, then"] > 0.02


_LAWS = ("age, signal 2", "sex, signal 1.5", "sex, signal 4")


def test_leaks_baselines_shares_and_shifts():
    (seen,) = dict(honesty.leak(_REPEATS)).values()
    assert seen["then"] < 0.8 * seen["new"]
    assert seen["seen by label, of 40"] == 28
    (persons,) = dict(honesty.people(_REPEATS)).values()
    assert persons["then"] < 0.7 * persons["new"]
    assert persons["told"] == pytest.approx(persons["new"], rel=0.15)
    (used,) = dict(honesty.shares(_REPEATS)).values()
    assert used["then"] < 0.4
    assert used["with --prevalence"] == pytest.approx(0.8, abs=0.12)
    (shift,) = dict(honesty.elsewhere(_REPEATS)).values()
    assert abs(shift["shift"]) < abs(shift["then"])
    constant, pooled = dict(honesty.baselines(_REPEATS)).values()
    assert constant["beats"] <= 0.05 < constant["beats, then"]
    # Each fold has its share of the classes: pooling them tells noise little worse than it is.
    for told in pooled.values():
        assert told == pytest.approx(0.5, abs=0.05)
