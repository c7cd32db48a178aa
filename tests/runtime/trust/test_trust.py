"""What a bundle's calibration adds to an answer, and what its absence says."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from fmtool.bundle.encoder import EncoderFacts
from fmtool.errors import BundleError, UsageError
from fmtool.task import AGE, DIAGNOSIS, SEX
from runtime import trust
from runtime.answer import answer, unlike
from runtime.trust import Tendency, Trust, classes
from runtime.trust.classes import Platt
from runtime.trust.folds import Folds
from runtime.trust.interval import Difficulty
from runtime.trust.multiclass import Softmax
from runtime.trust.novelty import Novelty, Shape

FEATURES = 3


def make_folds(scans=40, spread=1.0):
    rng = np.random.default_rng(0)
    weight = np.array([[10.0, 0, 0], [11.0, 0, 0]])
    score = spread * rng.exponential(size=scans)
    return Folds(weight, np.array([40.0, 41.0]), np.arange(scans) % 2, score, np.ones(scans))


def make_novelty():
    shape = Shape(np.zeros(FEATURES), np.ones(FEATURES), np.eye(FEATURES)[:1], np.ones(1), 1.0)
    return Novelty(shape, np.linspace(0.1, 3.0, 40), np.ones(40))


TESTED = {"value": 5.0}


def age_trust(**changes):
    parts = {"tendency": Tendency(0.5, 20.0), "novelty": make_novelty()}
    return Trust(0.9, **{"folds": make_folds(), **parts, **changes})


def sex_trust():
    folds = Folds(
        np.array([[3.0, 0, 0]]),
        np.zeros(1),
        np.zeros(40, int),
        np.tile([-2.0, 2.0], 20) + np.linspace(-1, 1, 40),
        np.ones(40),
    )
    labels = np.tile([0.0, 1.0], 20)
    return Trust(0.9, folds, labels=labels, by_class=True, probability=Platt(0.5, 0.0))


def test_a_regression_has_an_interval_a_corrected_value_and_a_p_value():
    wide = age_trust(folds=make_folds(spread=20.0))
    found = answer(AGE, 45.0, TESTED, np.array([0.5, 0, 0]), wide)
    assert found.interval.low < 45.0 < found.interval.high
    assert found.corrected == pytest.approx((45.75 - 20.0) / 0.5)  # of the two folds' heads
    assert 0.5 < found.novelty <= 1
    assert found.warnings == []
    data = json.loads(json.dumps(found.to_dict()))
    assert data["interval"] == {
        "low": found.interval.low,
        "high": found.interval.high,
        "level": 0.9,
    }
    assert (data["corrected"], data["novelty_p"]) == (found.corrected, found.novelty)


def test_an_interval_ends_where_no_truth_can_be():
    found = answer(AGE, 2.0, {}, np.array([-3.8, 0, 0]), age_trust(folds=make_folds(spread=9)))
    assert found.interval.low == 0.0
    assert found.interval.high > 2.0


@pytest.mark.parametrize(
    ("x", "members"), [(-1.0, ["F"]), (1.0, ["M"]), (0.0, ["F", "M"]), (-9.0, ["F"])]
)
def test_a_binary_task_has_a_probability_and_a_set(x, members):
    found = answer(SEX, 3 * x, {}, np.array([x, 0, 0]), sex_trust())
    assert found.members == members
    assert found.probability == pytest.approx(1 / (1 + np.exp(-1.5 * x)))
    assert found.level == 0.9
    assert found.prevalence == 0.5


def test_the_likelier_class_stays_and_only_the_unusual_is_warned_of():
    logits = np.r_[np.linspace(-3, -1, 100), np.linspace(1, 3, 100)]
    ones, none = np.ones(200), np.zeros((1, 1))
    folds = Folds(none, np.zeros(1), np.zeros(200, dtype=np.intp), logits, ones)
    labels = np.r_[np.zeros(100), np.ones(100)]
    assert classes.among(folds.score, folds.mass, labels, np.zeros(200), True) == (1 / 101, 1 / 101)
    assert classes.members((0.05, 0.03), 0.9) == [0]
    assert classes.members((0.03, 0.03), 0.9) == [0, 1]
    assert classes.members((0.2, 0.15), 0.9) == [0, 1]
    for at, warned in ((-1.05, False), (0.0, True)):
        one = Folds(none, np.array([at]), folds.fold, logits, ones)
        said = answer(SEX, at, {}, np.zeros(1), Trust(0.9, one, labels=labels, by_class=True))
        assert said.members
        assert any("neither F nor M" in w for w in said.warnings) is warned


def test_a_prevalence_corrects_by_bayes_and_says_so():
    known = sex_trust()
    (rare,) = trust.used_at({"sex": known}, {"sex": 0.05}, {"sex": SEX}).values()
    named = trust.used_at({"sex": known}, {"sex": {"f": 0.95, "M": 0.05}}, {"sex": SEX})
    assert named["sex"].prevalence == pytest.approx(rare.prevalence)
    before, after = (answer(SEX, 3.0, {}, np.array([1.0, 0, 0]), t) for t in (known, rare))
    odds = before.probability / (1 - before.probability) / 19
    assert after.probability == pytest.approx(odds / (1 + odds))
    assert (before.prevalence, after.prevalence) == (0.5, 0.05)
    assert after.members == before.members == ["M"]
    assert (before.label, after.label) == ("M", "F")
    assert any("F, is not in the prediction set" in w for w in after.warnings)
    assert not any("prediction set" in w for w in before.warnings)
    again = Trust.from_dict(json.loads(json.dumps(rare.to_dict())))
    assert again.prevalence == (0.95, 0.05)
    for wrong in ({"sex": 0.0}, {"sex": 1.5}, {"age": 0.1}):
        with pytest.raises(UsageError, match=r"between 0 and 1|no calibrated probability"):
            trust.used_at({"sex": known}, wrong, {"sex": SEX})


def three_trust():
    """Calibrated on 30 scans of each class, whose strangeness is the same in all."""
    labels = np.repeat([0.0, 1.0, 2.0], 30)
    score = np.tile(np.linspace(0.05, 3.0, 30), 3)
    folds = Folds(
        np.eye(3)[None], np.zeros((1, 3)), np.zeros(90, dtype=np.intp), score, np.ones(90)
    )
    even = Softmax(1.0, np.zeros(3))
    return Trust(0.9, folds, labels=labels, by_class=True, probabilities=even)


def test_a_prevalence_of_three_classes_corrects_by_bayes_and_says_so():
    known, tasks = three_trust(), {"diagnosis": DIAGNOSIS}
    used = {"diagnosis": {"CN": 0.7, "mci": 0.2, "AD": 0.1}}
    (rare,) = trust.used_at({"diagnosis": known}, used, tasks).values()
    x = np.array([1.0, 0.5, 1.5])
    before, after = (answer(DIAGNOSIS, x, {}, x, t) for t in (known, rare))
    weighed = np.exp(x) * [0.7, 0.2, 0.1]
    assert list(after.probabilities.values()) == pytest.approx(weighed / weighed.sum())
    assert (before.label, after.label) == ("AD", "CN")
    assert after.probability == after.probabilities["CN"]
    assert after.value == pytest.approx(np.exp(1.0) / np.exp(x).sum())
    assert before.shares == pytest.approx(dict.fromkeys(("CN", "MCI", "AD"), 1 / 3))
    assert after.shares == pytest.approx({"CN": 0.7, "MCI": 0.2, "AD": 0.1})
    assert after.members == before.members
    again = Trust.from_dict(json.loads(json.dumps(rare.to_dict())))
    assert again.prevalence == pytest.approx((0.7, 0.2, 0.1))
    with pytest.raises(ValueError, match="share of each class"):
        Trust.from_dict(known.to_dict() | {"prevalence": 0.2})


@pytest.mark.parametrize(
    "wrong",
    [
        0.2,
        {"CN": 0.9, "AD": 0.1},
        {"CN": 0.5, "MCI": 0.4, "AD": 0.4},
        {"CN": 1.0, "MCI": 0.0, "AD": 0.0},
        {"CN": 0.5, "MCI": 0.3, "AD": 0.1, "FTD": 0.1},
    ],
)
def test_shares_that_are_not_those_of_each_class_are_refused(wrong):
    tasks = {"diagnosis": DIAGNOSIS}
    with pytest.raises(UsageError, match=r"CN:0.33,MCI:0.33,AD:0.33|between 0 and 1"):
        trust.used_at({"diagnosis": three_trust()}, {"diagnosis": wrong}, tasks)


def test_the_corrected_value_stays_inside_the_interval():
    tilted = age_trust(tendency=trust.Tendency(0.3, 31.5))
    for x in (-1.5, 0.0, 1.5):
        found = answer(AGE, 45.0 + 10 * x, {}, np.array([x, 0, 0]), tilted)
        assert found.interval.low <= found.corrected <= found.interval.high


def test_the_class_follows_the_calibrated_probability():
    tilted = Trust(0.9, sex_trust().folds, labels=sex_trust().labels, probability=Platt(1.0, -2.0))
    found = answer(SEX, 1.0, {}, np.zeros(3), tilted)
    assert found.value > 0.5 > found.probability
    assert found.label == "F"


def test_without_calibration_the_answer_says_so():
    assert answer(AGE, 45.0, TESTED).warnings == [
        "No interval: the bundle has no calibration of this head."
    ]
    assert "No calibrated probability" in answer(SEX, 1.0, TESTED).warnings[0]
    few = answer(AGE, 45.0, TESTED, np.zeros(3), age_trust(folds=make_folds(scans=8)))
    assert few.interval is None
    assert few.warnings == ["No interval: 8 calibration subjects are too few for one of 90 %."]


def test_a_scan_unlike_the_cohort_is_said_once_for_all_heads():
    trusts = {"age": age_trust(), "height": age_trust()}
    near, far = np.zeros(3), np.array([0.0, 9.0, 0.0])

    def sentences(x):
        return unlike({n: answer(AGE, 45.0, {}, x, t) for n, t in trusts.items()}, trusts)

    assert sentences(near) == []
    (said,) = sentences(far)
    assert "unlike those of the 40 subjects that calibrate age and height" in said
    assert "(p = 0.024)" in said


def make_bundle(tmp_path, content, features=FEATURES):
    path = tmp_path / trust.FILE
    path.write_text(content)
    manifest = SimpleNamespace(
        trust=trust.FILE, encoder_of=lambda task: EncoderFacts(features=features)
    )
    return SimpleNamespace(
        manifest=manifest,
        tasks={},
        file=lambda name: tmp_path / name,
        read=lambda name: (tmp_path / name).read_bytes(),
    )


def test_a_bundle_gives_back_what_was_stored_to_the_last_bit(tmp_path):
    difficulty = Difficulty(np.ones((2, FEATURES)), np.zeros(2), -np.ones(2), np.ones(2))
    stored = {"age": age_trust(difficulty=difficulty), "sex": sex_trust()}
    text = json.dumps({name: one.to_dict() for name, one in stored.items()})
    found = trust.read(make_bundle(tmp_path, text))
    x = np.array([0.123456789, -0.2, 0.3])
    for task, raw in ((AGE, 44.4), (SEX, 0.4)):
        before = answer(task, raw, {}, x, stored[task.name])
        assert answer(task, raw, {}, x, found[task.name]) == before


def test_an_old_bundle_has_none():
    assert trust.read(SimpleNamespace(manifest=SimpleNamespace(trust=None))) == {}


def test_damaged_calibrations_are_refused(tmp_path):
    good = age_trust().to_dict()
    for content in (
        "{",
        "[]",
        '{"age": 3}',
        json.dumps({"age": good | {"level": 2.0}}),
        json.dumps({"age": {k: v for k, v in good.items() if k != "folds"}}),
        json.dumps({"age": good | {"labels": [1.0]}}),
    ):
        with pytest.raises(BundleError, match=r"trust\.json is damaged"):
            trust.read(make_bundle(tmp_path, content))
    with pytest.raises(BundleError, match=r"for 3 features.*has 64"):
        trust.read(make_bundle(tmp_path, json.dumps({"age": good}), features=64))


_FLAT = {"weight": [[1.0, 1, 1]] * 2, "bias": [0.0, 0], "low": [0.0, 0], "high": [0.0, 0]}


def _changed(data, keys, value):
    *path, last = keys
    for key in path:
        data = data[key]
    data[last] = value


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["level"], 1e300),
        (["folds", "weight"], [[1e300, 0, 0]] * 2),
        (["folds", "score"], ["x"] * 40),
        (["folds", "bias"], [[1.0], [2.0]]),
        (["folds", "bias"], [[1.0, 0.0], [2.0, 1.0]]),
        (["tendency"], [0.0, 1.0]),
        (["tendency"], [1e-300, 1.0]),
        (["tendency"], [1.0]),
        (["novelty", "rest"], "inf"),
        (["novelty", "mass"], [-1.0] * 40),
        (["novelty", "scale"], [0.0] * 3),
        (
            ["difficulty"],
            {"weight": [[1.0, 1, 1]] * 2, "bias": [0, 0], "low": [0, 0], "high": [900, 0]},
        ),
        (["probability"], {"kind": "platt", "slope": "nan", "intercept": 0}),
    ],
)
def test_numbers_that_no_answer_could_be_computed_with_are_refused(keys, value):
    data = age_trust().to_dict()
    Trust.from_dict(data)
    _changed(data, keys, value)
    with pytest.raises((KeyError, TypeError, ValueError)):
        Trust.from_dict(data)
