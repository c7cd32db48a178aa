"""Mahalanobis against an explicit inverse, and the p-value against a count."""

from __future__ import annotations

import json

import numpy as np
import pytest

from runtime.trust.novelty import Novelty, Shape


def make_shape(features=7, rank=3, seed=0):
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(features, features)))[0][:rank]
    scale = rng.uniform(0.5, 2.0, features)
    return Shape(rng.normal(size=features), scale, axes, rng.uniform(0.1, 0.5, rank), 4.0)


def test_the_distance_is_that_of_the_explicit_inverse():
    shape = make_shape()
    covariance = np.eye(7) / shape.rest
    for axis, gain in zip(shape.axes, shape.gain, strict=True):
        covariance += (1 / gain - 1 / shape.rest) * np.outer(axis, axis)
    inverse = np.linalg.inv(covariance)
    x = np.random.default_rng(1).normal(size=(9, 7))
    z = (x - shape.centre) / shape.scale
    np.testing.assert_allclose(shape(x), np.sqrt(np.einsum("nf,fg,ng->n", z, inverse, z)))


def make_novelty(mass=None):
    distances = np.sort(np.random.default_rng(2).exponential(size=20))
    return Novelty(make_shape(), distances, np.ones(20) if mass is None else mass)


def test_the_p_value_counts_those_that_lie_as_far():
    novelty = make_novelty()
    x = novelty.shape.centre + 0.2
    wanted = (1 + np.sum(novelty.distances >= novelty.shape(x))) / 21
    assert novelty.p_value(x) == pytest.approx(wanted)
    assert novelty.p_value(novelty.shape.centre) == 1.0
    assert novelty.p_value(x + 1e3) == pytest.approx(1 / 21) == novelty.least


def test_few_subjects_warn_at_their_smallest_p_value_and_many_at_two_percent():
    few = make_novelty()
    assert few.unusual(few.least)
    assert not few.unusual(2 / 21)
    many = Novelty(make_shape(), np.arange(999.0), np.ones(999))
    assert many.unusual(0.02)
    assert not many.unusual(0.021)


def test_repeated_scans_share_a_subject():
    novelty = make_novelty(np.full(20, 0.25))
    assert novelty.least == pytest.approx(1 / 6)


def test_plain_data_comes_back_the_same():
    novelty = make_novelty()
    again = Novelty.from_dict(json.loads(json.dumps(novelty.to_dict())))
    x = np.random.default_rng(3).normal(size=7)
    assert again.p_value(x) == novelty.p_value(x)
    assert again.shape(x) == novelty.shape(x)


def test_a_grids_shape_is_that_of_its_tables_margins():
    novelty = Novelty(make_shape(features=7), np.linspace(0.1, 3.0, 20), np.ones(20), cells=3)
    table = np.random.default_rng(4).normal(size=(4, 3))  # channels by cells
    both = np.concatenate([table.sum(1), table.sum(0)])
    assert (novelty.features, len(both)) == (12, 7)
    wanted = (1 + np.sum(novelty.distances >= novelty.shape(both))) / 21
    assert novelty.p_value(table.ravel()) == pytest.approx(wanted)
    again = Novelty.from_dict(json.loads(json.dumps(novelty.to_dict())))
    assert again.p_value(table.ravel()) == pytest.approx(wanted)
    with pytest.raises(ValueError, match="cells"):
        Novelty.from_dict({**novelty.to_dict(), "cells": 7})


@pytest.mark.parametrize(
    "change", [{"scale": [0.0] * 7}, {"scale": [1.0]}, {"gain": [1.0]}, {"distances": [1.0]}]
)
def test_damaged_data_is_refused(change):
    with pytest.raises(ValueError, match=r"damaged|reshape"):
        Novelty.from_dict(make_novelty().to_dict() | change)
