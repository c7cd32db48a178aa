from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from benchmarks.protocols.matched_sex import match, pair_auc, rows_of


def brute(volumes: np.ndarray, men: np.ndarray, caliper: float) -> tuple[int, float]:
    """The most pairs, and the least sum of differences with that many, by trying everything."""
    women, others = np.flatnonzero(~men), np.flatnonzero(men)
    best = (0, 0.0)
    for order in permutations([*others, *[-1] * len(women)], len(women)):
        pairs = [(w, m) for w, m in zip(women, order, strict=True) if m >= 0]
        apart = [abs(volumes[w] - volumes[m]) for w, m in pairs]
        if any(a > caliper for a in apart):
            continue
        if (-len(pairs), sum(apart)) < (-best[0], best[1]):
            best = (len(pairs), float(sum(apart)))
    return best


@pytest.mark.parametrize("seed", range(6))
def test_as_many_pairs_as_can_be_and_of_those_the_closest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    men = np.array([True, False, True, False, True, False, True])
    volumes = np.where(men, 1350.0, 1250.0) + rng.normal(0, 80, 7)
    caliper = 60.0
    pairs = match(volumes, men, caliper, np.zeros(7, dtype=int))
    apart = np.abs(volumes[pairs[:, 0]] - volumes[pairs[:, 1]])
    count, total = brute(volumes, men, caliper)
    assert len(pairs) == count
    assert apart.sum() == pytest.approx(total)
    assert (apart <= caliper).all()
    assert not men[pairs[:, 0]].any()
    assert men[pairs[:, 1]].all()
    assert len(np.unique(pairs)) == pairs.size


def test_no_pair_is_within_the_caliper() -> None:
    men = np.array([True, False])
    assert match(np.array([1400.0, 1200.0]), men, 10.0, np.zeros(2, dtype=int)).shape == (0, 2)


def test_the_share_of_pairs_in_the_right_order() -> None:
    pairs = np.array([[0, 1], [2, 3], [4, 5]])
    assert pair_auc(np.array([0.0, 1.0, 1.0, 0.0, 2.0, 2.0]), pairs) == pytest.approx(0.5)


def test_a_score_that_is_volume_falls_to_chance_and_one_that_is_not_stays() -> None:
    rng = np.random.default_rng(0)
    men = (np.arange(400) % 2).astype(float)
    volumes = 1200 + 130 * men + rng.normal(0, 90, 400)
    fold = np.arange(400) // 2 % 5
    pairs = match(volumes, men > 0.5, 10.0, fold)
    assert (fold[pairs[:, 0]] == fold[pairs[:, 1]]).all()
    assert len(pairs) > 50
    size = {r["sample"]: r for r in rows_of("v", volumes, men, pairs, fold, 0)}
    score = men + rng.normal(0, 0.5, 400)
    shape = {r["sample"]: r for r in rows_of("s", score, men, pairs, fold, 0)}
    assert size["all"]["value"] > 0.8
    assert size["matched"]["low"] < 0.5 < size["matched"]["high"]
    assert shape["matched"]["low"] > 0.7
    assert shape["within pairs"]["low"] > 0.7
    assert shape["all"]["pairs"] is None
    assert shape["matched"]["subjects"] == 2 * len(pairs)


def test_scores_of_two_folds_are_not_compared() -> None:
    """Each fold's model orders its own people rightly, on a scale of its own."""
    men = np.array([0.0, 1.0] * 6)
    fold = np.repeat([0, 1, 2], 4)
    score = men + 10.0 * fold
    pairs = match(np.full(12, 1200.0), men > 0.5, 10.0, fold)
    assert len(pairs) == 6
    assert (fold[pairs[:, 0]] == fold[pairs[:, 1]]).all()
    assert {r["value"] for r in rows_of("s", score, men, pairs, fold, 0)} == {1.0}
