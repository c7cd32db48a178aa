"""Intensity changes beyond the paper's, against naive loops, and their randomness."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fmtool.errors import UsageError
from training.augment import SimCLRAugment
from training.augment.intensity import Change, Intensity
from training.encoders import masked_zscore

SHAPE = (7, 9, 8)
NOTHING = Change(blur=0.0, bias=0.0, waves=(0.5,) * 27, noise=0.0, seed=1)
ALL = Intensity(blur=1.5, bias=0.4, noise=0.2)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def view():
    return 50 + 10 * torch.rand(SHAPE, generator=generator(5))


@pytest.fixture
def inside():
    return (torch.rand(SHAPE, generator=generator(6)) < 0.6).float()


def test_nothing_drawn_changes_nothing(view, inside):
    assert torch.equal(Intensity.apply(view.clone(), inside, NOTHING), view)


def test_blur_is_the_weighted_mean_of_the_voxels_around(view, inside):
    change = Change(1.2, 0.0, NOTHING.waves, 0.0, 1)
    blurred = Intensity.apply(view.clone(), inside, change)
    places = list(itertools.product(*map(range, SHAPE)))
    for place in ((0, 0, 0), (3, 4, 5), (6, 0, 7)):
        weights = [math.exp(-(math.dist(place, p) ** 2) / (2 * 1.2**2)) for p in places]
        mean = sum(w * float(view[p]) for w, p in zip(weights, places, strict=True)) / sum(weights)
        assert float(blurred[place]) == pytest.approx(mean, rel=1e-5)


def test_bias_field_is_the_sum_of_its_waves(view, inside):
    waves = tuple(np.random.default_rng(0).uniform(-1, 1, 27))
    biased = Intensity.apply(view.clone(), inside, Change(0.0, 0.3, waves, 0.0, 1))
    log = np.zeros(SHAPE)
    for z, y, x in itertools.product(*map(range, SHAPE)):
        for i, j, k in itertools.product(range(3), repeat=3):
            if (i, j, k) != (0, 0, 0):
                at = (math.pi * p / (n - 1) for p, n in zip((z, y, x), SHAPE, strict=True))
                wave = math.prod(math.cos(o * a) for o, a in zip((i, j, k), at, strict=True))
                log[z, y, x] += waves[9 * i + 3 * j + k] * wave
    expected = view.numpy() * np.exp(0.3 * log / np.abs(log).max())
    np.testing.assert_allclose(biased.numpy(), expected, rtol=1e-5)


def test_noise_has_its_share_of_the_brains_deviation(inside):
    shape = (40, 40, 40)
    inside = (torch.rand(shape, generator=generator(6)) < 0.6).float()
    view = (50 + 10 * torch.randn(shape, generator=generator(5))) * inside
    noisy = Intensity.apply(view.clone(), inside, Change(0.0, 0.0, NOTHING.waves, 0.25, 3))
    noise = (noisy - view).double()
    deviation = float(view[inside > 0].double().std(correction=0))
    assert float(noise.std()) == pytest.approx(0.25 * deviation, rel=0.02)
    assert abs(float(noise.mean())) < 0.02 * deviation
    again = Intensity.apply(view.clone(), inside, Change(0.0, 0.0, NOTHING.waves, 0.25, 3))
    other = Intensity.apply(view.clone(), inside, Change(0.0, 0.0, NOTHING.waves, 0.25, 4))
    assert torch.equal(noisy, again)
    assert not torch.equal(noisy, other)


def test_draws_are_uniform_and_leave_out_what_has_no_size():
    source = generator()
    draws = [ALL.draw(source) for _ in range(2000)]
    for name in ("blur", "bias", "noise"):
        largest, sizes = getattr(ALL, name), np.array([getattr(d, name) for d in draws])
        assert np.mean(sizes > 0) == pytest.approx(0.8, abs=0.03)
        assert sizes[sizes > 0].mean() == pytest.approx(largest / 2, rel=0.05)
        assert sizes.max() <= largest
    assert len({d.seed for d in draws}) == 2000
    only = Intensity(bias=0.4)
    one, every = only.draw(generator(3)), ALL.draw(generator(3))
    assert (one.blur, one.noise) == (0.0, 0.0)
    assert (one.bias, one.waves, one.seed) == (every.bias, every.waves, every.seed)


@pytest.mark.parametrize("sizes", [{"blur": 1.0}, {"bias": 0.3}, {"noise": 0.2}])
def test_a_change_survives_the_zscore(view, inside, sizes):
    changed = Intensity.apply(view.clone(), inside, replace(NOTHING, **sizes))
    difference = masked_zscore(changed, inside) - masked_zscore(view, inside)
    assert float(difference.abs().max()) > 0.3


def test_the_papers_part_of_a_view_stays_as_it_was(view, inside):
    plain = SimCLRAugment((6, 8, 8), (4, 4, 4))
    changing = SimCLRAugment((6, 8, 8), (4, 4, 4), intensity=ALL)
    never = SimCLRAugment((6, 8, 8), (4, 4, 4), intensity=Intensity(noise=1.0, probability=0.0))
    without, with_noise, none = (a(view, inside, generator(4)) for a in (plain, changing, never))
    assert torch.equal(without, none)
    assert not torch.equal(without, with_noise)
    assert torch.equal(without != 0, with_noise != 0)  # the same crop, flip and rotation


@pytest.mark.parametrize(
    ("sizes", "word"),
    [({"blur": -1.0}, "blur"), ({"noise": math.nan}, "noise"), ({"probability": 2.0}, "between")],
)
def test_impossible_sizes_are_refused(sizes, word):
    with pytest.raises(UsageError, match=word):
        Intensity(**sizes)
