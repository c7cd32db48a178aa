"""Weights and biases found by running a model's tail."""

from __future__ import annotations

import numpy as np
import pytest

from fmtool import bundle
from runtime.engines.heads import affine


def test_the_demonstrations_heads_are_found():
    with bundle.open() as opened:
        found = affine(opened, ["age", "sex"])
        expected = opened.manifest.self_test.outputs
        at = np.array(expected["embedding"])
        for task, (weight, bias) in found.items():
            assert weight.shape == (opened.manifest.encoder.features,)
            assert weight @ at + bias == pytest.approx(expected[task][0], abs=2e-5)
