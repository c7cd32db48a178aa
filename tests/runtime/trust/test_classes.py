"""Prediction sets against a count, and calibrations as plain data."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.trust.classes import Isotonic, Platt, calibrator, members, p_values, sigmoid
from runtime.trust.folds import Folds


def make_folds(scans=60, seed=0):
    rng = np.random.default_rng(seed)
    folds = Folds(
        rng.normal(size=(3, 4)),
        rng.normal(size=3),
        rng.integers(3, size=scans),
        rng.normal(size=scans),
        np.ones(scans),
    )
    return folds, (rng.random(scans) < 0.4).astype(float)


@pytest.mark.parametrize("by_class", [True, False])
def test_p_values_are_shares_of_scans_at_least_as_strange(by_class):
    folds, labels = make_folds()
    for x in np.random.default_rng(1).normal(size=(6, 4)):
        found = p_values(folds, labels, x, by_class)
        for wanted in (0, 1):
            counted, stranger = 1, 1
            for k, logit, label in zip(folds.fold, folds.score, labels, strict=True):
                if by_class and label != wanted:
                    continue
                new = float(folds.weight[k] @ x + folds.bias[k])
                strange = -logit if label else logit
                stranger += strange >= (-new if wanted else new)
                counted += 1
            assert found[wanted] == pytest.approx(stranger / counted)


def test_a_class_stays_while_its_p_value_is_above_the_error():
    assert members((0.5, 0.02), 0.9) == [0]
    assert members((0.5, 0.11), 0.9) == [0, 1]
    assert members((0.5, 0.1), 0.9) == [0]  # exactly the error is excluded
    assert members((0.05, 0.1), 0.9) == [1]  # but never the likelier class


@pytest.mark.parametrize(
    "made",
    [Platt(1.3, -0.2), Isotonic(np.array([-1.0, 0.0, 2.0]), np.array([0.1, 0.4, 0.8]))],
)
def test_calibrations_come_back_the_same_and_rise(made):
    again = calibrator(made.to_dict())
    logits = np.linspace(-5, 5, 41)
    values = [again(z) for z in logits]
    assert values == [made(z) for z in logits]
    assert np.all(np.diff(values) >= 0)
    assert 0 < values[0] <= values[-1] < 1


def test_what_is_no_calibration_is_refused():
    with pytest.raises(ValueError, match="'beta'"):
        calibrator({"kind": "beta"})
    with pytest.raises(ValueError, match="rise"):
        Isotonic(np.array([0.0, 1.0]), np.array([0.9, 0.1]))


def test_the_sigmoid_overflows_nowhere():
    assert (sigmoid(-1e5), sigmoid(0.0), sigmoid(1e5)) == (0.0, 0.5, 1.0)
    assert sigmoid(2.0) == pytest.approx(0.880797, abs=1e-6)
