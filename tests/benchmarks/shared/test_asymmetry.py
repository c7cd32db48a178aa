"""Telling left from right on features of a known law."""

from __future__ import annotations

import numpy as np

from benchmarks import orientation


def test_a_shared_asymmetry_is_learnt_and_noise_is_not():
    random = np.random.default_rng(0)
    pattern = random.normal(size=400)
    noise = random.normal(size=(40, 400))
    true = pattern + noise
    told = orientation.right(list(range(40)), true, -true)
    assert told == (40, 40)
    told = orientation.right(list(range(40)), noise, -noise)
    assert 5 < told[0] < 35


def test_what_the_pipeline_adds_to_both_is_no_asymmetry():
    """A bias that heads and their mirror images share does not tell them apart."""
    random = np.random.default_rng(1)
    bias = 5.0 * random.normal(size=400)
    noise = random.normal(size=(40, 400))
    told = orientation.right(list(range(40)), bias + noise, bias - noise)
    assert sum(told) < 60
