"""Women and men of equal brain volume, and how well a score tells them apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from training.evidence import evaluate

Array = NDArray[np.float64]
Pairs = NDArray[np.intp]


def match(volumes: Array, men: NDArray[np.bool_], caliper: float) -> Pairs:
    """(P, 2): the index of a woman and of a man whose volumes differ by `caliper` at most.

    Nobody is in two pairs; there are as many pairs as can be, and of all such choices the one
    with the least sum of differences.

    Args:
        volumes: (N,) mL, one per subject.
        men: (N,).
        caliper: mL.
    """
    women, others = np.flatnonzero(~men), np.flatnonzero(men)
    apart = np.abs(volumes[women][:, None] - volumes[others][None])
    # A forbidden pair costs more than all allowed ones together, so few of them comes first.
    cost = np.where(apart <= caliper, apart, 1.0 + caliper * (1 + min(apart.shape)))
    rows, columns = linear_sum_assignment(cost)
    close = apart[rows, columns] <= caliper
    return np.stack((women[rows[close]], others[columns[close]]), axis=1)


def pair_auc(score: Array, pairs: Pairs) -> float:
    """The share of pairs in which the man's score is above the woman's, ties counting half."""
    difference = score[pairs[:, 1]] - score[pairs[:, 0]]
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())


def rows_of(name: str, score: Array, men: Array, pairs: Pairs, seed: int) -> list[dict[str, Any]]:
    """A row for all subjects, and two for those in pairs.

    "all": the AUC over all women and men. "matched": the same over those in pairs. "within pairs":
    the chance that a man scores above the woman of his own pair. Intervals resample subjects, or
    pairs.

    Args:
        name: of the system.
        score: (N,), one per subject.
        men: (N,), 1 for a man.
        pairs: by `match`.
        seed: of the bootstrap.
    """
    everybody = [str(i) for i in range(len(men))]
    of_pair = [str(p) for p in range(len(pairs))]
    flat = pairs.T.ravel()  # women, then men
    matched, truth = score[flat], men[flat]

    def whole(i: NDArray[np.intp]) -> float:
        return evaluate.auc(men[i], score[i])

    def among(i: NDArray[np.intp]) -> float:
        return evaluate.auc(truth[i], matched[i])

    def within(i: NDArray[np.intp]) -> float:
        return pair_auc(score, pairs[i])

    samples = (
        ("all", whole(np.arange(len(men))), evaluate.interval(whole, everybody, seed)),
        ("matched", among(np.arange(len(flat))), evaluate.interval(among, of_pair * 2, seed)),
        ("within pairs", within(np.arange(len(pairs))), evaluate.interval(within, of_pair, seed)),
    )
    return [
        {
            "system": name,
            "task": "sex",
            "sample": sample,
            "metric": "AUC",
            "unit": "",
            "value": value,
            "low": low,
            "high": high,
            "baseline": 0.5,
            "difference": value - 0.5,
            "difference_low": low - 0.5,
            "difference_high": high - 0.5,
            "beats_baseline": low > 0.5,
            "pairs": None if sample == "all" else len(pairs),
            "subjects": len(men) if sample == "all" else 2 * len(pairs),
        }
        for sample, value, (low, high) in samples
    ]
