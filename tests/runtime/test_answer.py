"""What an answer says beside its value."""

import pytest

from fmtool import task
from runtime.answer import answer

GOOD = {"metric": "MAE", "value": 3.0, "beats_baseline": True, "baseline_name": "the mean"}


def test_a_regression_is_its_value_and_a_binary_task_a_probability():
    assert answer(task.AGE, 41.5, GOOD).value == 41.5
    assert answer(task.SEX, 0.0, {}).value == 0.5
    assert answer(task.SEX, 2.0, {}).value == pytest.approx(0.880797, abs=1e-6)
    assert answer(task.SEX, -1e4, {}).value == 0.0
    assert answer(task.SEX, 2.0, {}).label == "M"
    assert answer(task.SEX, -2.0, {}).label == "F"


def test_a_value_that_cannot_be_true_is_to_be_discarded():
    assert not any("cannot be true" in w for w in answer(task.AGE, 41.5, GOOD).warnings)
    assert "0 to 120 can" in answer(task.AGE, 150.0, GOOD).warnings[0]
    assert "discard it" in answer(task.AGE, -3.0, GOOD).warnings[0]


def test_a_head_below_its_baseline_or_brain_volume_says_so():
    bad = {**GOOD, "beats_baseline": False, "brain_volume": {"value": 2.5, "head_is_better": False}}
    warnings = answer(task.AGE, 41.5, bad).warnings
    assert "did not beat its baseline (the mean)" in warnings[0]
    assert "MAE 3.00 against 2.50" in warnings[1]


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.1, 0.9, "is worse than the linear model of the smoothed scan (MAE 3.00 against 2.50)"),
        (-0.1, 0.9, "is not shown to be better than the linear model of the smoothed scan"),
        (-0.9, -0.1, None),
    ],
)
def test_a_head_that_loses_to_the_linear_model_of_the_smoothed_scan_says_so(low, high, said):
    beside = {"value": 2.5, "difference_interval": [low, high], "head_is_better": high < 0}
    warnings = [w for w in answer(task.AGE, 41.5, {**GOOD, "smoothed_scan": beside}).warnings]
    assert any("smoothed" in w for w in warnings) == (said is not None)
    assert said is None or any(said in w for w in warnings)
