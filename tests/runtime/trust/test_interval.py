"""CV+ against its definition, one calibration scan after the other."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from runtime.trust.folds import Folds, quantile
from runtime.trust.interval import Difficulty, interval


def make_folds(scans=37, heads=5, features=6, seed=0, mass=None):
    rng = np.random.default_rng(seed)
    return Folds(
        rng.normal(size=(heads, features)),
        rng.normal(size=heads),
        rng.integers(heads, size=scans),
        rng.exponential(size=scans),
        np.ones(scans) if mass is None else mass,
    )


def make_difficulty(heads=5, features=6, seed=1):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(heads, features))
    return Difficulty(weight, rng.normal(size=heads), np.full(heads, -1.0), np.full(heads, 1.0))


def naive(folds, x, level, difficulty=None):
    """Barber et al.'s equations with a loop over scans and a sum over features."""
    lows, highs = [], []
    for k, score in zip(folds.fold, folds.score, strict=True):
        centre = sum(float(w) * float(v) for w, v in zip(folds.weight[k], x, strict=True))
        centre += float(folds.bias[k])
        size = 1.0
        if difficulty is not None:
            expected = float(difficulty.weight[k] @ x + difficulty.bias[k])
            size = math.exp(min(max(expected, difficulty.low[k]), difficulty.high[k]))
        lows.append(centre - score * size)
        highs.append(centre + score * size)
    n = len(lows)
    at_low = math.floor(round((1 - level) * (n + 1), 9))
    at_high = math.ceil(round(level * (n + 1), 9))
    return sorted(lows)[at_low - 1], sorted(highs)[at_high - 1]


@pytest.mark.parametrize("scans", [19, 20, 37, 199])
@pytest.mark.parametrize("scaled", [False, True])
def test_it_is_the_definition(scans, scaled):
    folds = make_folds(scans)
    difficulty = make_difficulty() if scaled else None
    for x in np.random.default_rng(2).normal(size=(5, 6)):
        found = interval(folds, x, 0.9, difficulty)
        assert (found.low, found.high) == pytest.approx(naive(folds, x, 0.9, difficulty), rel=1e-12)
        assert found.level == 0.9


def test_one_fold_is_split_conformal():
    folds = make_folds(scans=50, heads=1)
    x = np.ones(6)
    found = interval(folds, x, 0.9)
    reach = np.sort(folds.score)[math.ceil(0.9 * 51) - 1]
    centre = float(folds.weight[0] @ x + folds.bias[0])
    assert (found.low, found.high) == pytest.approx((centre - reach, centre + reach))


def test_heads_that_are_one_head_moved_are_kept_as_one():
    folds = make_folds(scans=50, heads=4)
    slope = np.array([1.0, 0.5, -2.0, 3.0])
    moved = replace(folds, weight=folds.weight[:1], slope=slope)
    whole = replace(folds, weight=np.outer(slope, folds.weight[0]))
    x = np.linspace(-1, 1, 6)
    np.testing.assert_allclose(moved(x), whole(x))
    again = Folds.from_dict(json.loads(json.dumps(moved.to_dict())))
    np.testing.assert_array_equal(again(x), moved(x))
    assert moved.features == whole.features == 6
    assert "slope" not in whole.to_dict()
    with pytest.raises(ValueError, match="do not belong together"):
        replace(moved, slope=slope[:2])


def test_too_few_subjects_have_no_interval():
    assert interval(make_folds(scans=8), np.ones(6), 0.9) is None
    assert interval(make_folds(scans=9), np.ones(6), 0.9) is not None
    scans_of_two = make_folds(scans=40, mass=np.full(40, 1 / 20))
    assert interval(scans_of_two, np.ones(6), 0.9) is None


def test_a_subject_counts_once_however_many_scans_it_has():
    folds = make_folds(scans=30)
    often = Folds(
        folds.weight,
        folds.bias,
        np.concatenate([np.repeat(folds.fold[:1], 7), folds.fold[1:]]),
        np.concatenate([np.repeat(folds.score[:1], 7), folds.score[1:]]),
        np.concatenate([np.full(7, 1 / 7), np.ones(29)]),
    )
    x = np.full(6, 0.3)
    assert interval(often, x, 0.9) == interval(folds, x, 0.9)


@pytest.mark.parametrize("level", ["0.8", "0.9", "0.95", "0.99"])
def test_the_quantile_is_the_order_statistic(level):
    for count in (4, 9, 10, 14, 19, 28, 29, *range(39, 500, 10)):
        values = np.random.default_rng(count).permutation(np.arange(1.0, count + 1))
        rank = math.ceil(Fraction(level) * (count + 1))  # exact: 0.9 x 20 is 18, not a little more
        wanted = rank if rank <= count else None
        assert quantile(values, np.ones(count), float(level)) == wanted


def test_plain_data_comes_back_the_same():
    folds, difficulty = make_folds(), make_difficulty()
    again = Folds.from_dict(json.loads(json.dumps(folds.to_dict())))
    twice = Difficulty.from_dict(json.loads(json.dumps(difficulty.to_dict())))
    x = np.full(6, 0.7)
    assert interval(again, x, 0.9, twice) == interval(folds, x, 0.9, difficulty)


@pytest.mark.parametrize("change", [{"fold": [9] * 37}, {"bias": [0.0]}, {"score": [1.0]}])
def test_arrays_that_do_not_belong_together_are_refused(change):
    with pytest.raises(ValueError, match="belong together"):
        Folds.from_dict(make_folds().to_dict() | change)
