"""What is watched, and the error that it is held against."""

import numpy as np
import pytest

from benchmarks.robustness import measure
from fmtool import bundle as bundles
from runtime import trust


def test_the_demonstration_bundles_errors():
    with bundles.open() as bundle:
        age, sex = measure.outputs_of(bundle)
        known = trust.read(bundle)["sex"]
        assert age.error == bundle.evidence("age")["value"]
    assert (age.unit, sex.unit) == ("years", "probability")
    pairs = zip(known.folds.score, known.labels, strict=True)
    wrong = [abs(known.probability(logit) - label) for logit, label in pairs]
    assert sex.error == pytest.approx(np.mean(wrong))


def test_a_binary_output_is_the_calibrated_probability():
    with bundles.open() as bundle:
        sex = measure.outputs_of(bundle)[1]
        known = trust.read(bundle)["sex"]
    assert sex.value({"sex": np.array([[1.5]])}) == known.probability(1.5)
