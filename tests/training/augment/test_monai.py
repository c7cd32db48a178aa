"""The fused augmentation against MONAI's transforms: equal views, equal distributions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from fmtool import bundle as bundles
from fmtool.errors import InputError
from runtime import scan
from runtime.preprocess.pipeline import Preprocessor
from training.augment import PARTS, SimCLRAugment
from training.augment import monai as augment_monai
from training.encoders import masked_zscore

SHAPE = (36, 46, 46)
MIN_CROP = (8, 10, 10)
EVERY = frozenset(PARTS)
ALPHA = 1e-3  # of the smallest of all p-values below


@pytest.fixture(scope="module")
def head():
    """A smooth ellipsoid with folds, ventricles and an empty background, like a prepared brain."""
    z, y, x = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    radius = (z**2 + (y / 0.9) ** 2 + (x / 0.8) ** 2).sqrt()
    folds = torch.sin(5 * z + 2 * y) * torch.cos(5 * x * y) * radius
    ventricles = torch.exp(-20 * (z**2 + y**2 + (x.abs() - 0.2) ** 2))
    brain = 100 + 25 * folds - 60 * ventricles + 10 * y
    return brain * torch.sigmoid((0.85 - radius) * 25), radius < 0.9


def compare(volume, mask, output_shape, min_crop, seeds):
    """Mean absolute difference inside the masks, their Dice, whether rotated; a row per seed."""
    compose = augment_monai.recipe(output_shape, min_crop)
    ours = SimCLRAugment(output_shape, min_crop, parts=EVERY)
    rows = []
    for seed in seeds:
        compose.set_random_state(seed=seed)
        theirs = augment_monai.view(compose, volume, mask)
        draw = augment_monai.drawn(compose)
        stepwise, inside = augment_monai.apply(volume, mask, draw, output_shape)
        torch.testing.assert_close(stepwise, theirs, atol=1e-5, rtol=0)
        warped, fused_inside = ours.apply(volume, mask, draw)
        both = inside & (fused_inside > 0)
        difference = (masked_zscore(warped, fused_inside) - stepwise)[both].abs().mean()
        dice = 2 * both.sum() / (inside.sum() + fused_inside.sum())
        rows.append((float(difference), float(dice), float(draw.angle != 0)))
    return np.array(rows).T


def test_fused_agrees_with_monai_step_by_step(head):
    difference, dice, rotated = compare(*head, SHAPE, MIN_CROP, range(14))
    assert difference.max() <= 0.05
    assert difference[rotated == 0].max() <= 1e-4  # nothing is interpolated twice
    assert dice.min() >= 0.999
    assert dice[rotated == 0].min() == 1.0
    assert 3 < rotated.sum() < 11


@pytest.mark.data
@pytest.mark.slow
def test_fused_agrees_with_monai_on_a_real_head(data_dir):
    path = sorted((data_dir / "cohort").glob("*_T1w.nii.gz"))[0]
    with bundles.open() as opened, Preprocessor(opened) as stages:
        prepared = stages.run(scan.read(path))
    volume, mask = torch.from_numpy(prepared.volume), torch.from_numpy(prepared.mask)
    shape = (150, 192, 192)
    difference, dice, rotated = compare(volume, mask, shape, (30, 40, 40), range(12))
    assert 0 < rotated.sum() < 12
    assert difference.max() <= 0.05
    assert dice.min() >= 0.999


def test_parameters_are_distributed_as_monais():
    """Crop sizes and places per axis, flip, angle, shift and gamma, over 2000 views of each."""
    shape, views = torch.Size((150, 192, 192)), 2000
    compose, source = augment_monai.recipe(), torch.Generator().manual_seed(0)
    compose.set_random_state(seed=0)
    ours = [SimCLRAugment(parts=EVERY).draw(shape, source) for _ in range(views)]
    theirs = [randomized(compose, shape) for _ in range(views)]
    values = {"angle": lambda d: d.angle, "shift": lambda d: d.shift, "gamma": lambda d: d.gamma}
    for axis in range(3):
        values[f"size {axis}"] = lambda d, a=axis: d.size[a]
        values[f"start {axis}"] = lambda d, a=axis: d.start[a]
        values[f"centre {axis}"] = lambda d, a=axis: d.start[a] + d.size[a] / 2
    for name, value in values.items():
        pair = [np.array([value(d) for d in draws]) for draws in (ours, theirs)]
        assert ks_2samp(*pair).pvalue > ALPHA, name
    for axis, (least, full) in enumerate(zip((30, 40, 40), shape, strict=True)):
        for draws in (ours, theirs):
            sizes = [d.size[axis] for d in draws]
            assert least <= min(sizes) < least + 3
            assert full - 3 < max(sizes) <= full
            assert all(0 <= d.start[axis] <= full - d.size[axis] for d in draws)
    for name, applied, probability in (
        ("flip", lambda d: d.flip, 0.5),
        ("rotation", lambda d: d.angle != 0, 0.5),
        ("shift", lambda d: d.shift != 0, 0.8),
        ("gamma", lambda d: d.gamma != 1, 0.8),
    ):
        for draws in (ours, theirs):
            assert np.mean([applied(d) for d in draws]) == pytest.approx(probability, abs=0.04), (
                name
            )
    for limit, value in ((0.785, "angle"), (0.5, "shift")):
        for draws in (ours, theirs):
            largest = max(abs(getattr(d, value)) for d in draws)
            assert limit - 0.01 < largest <= limit
    for draws in (ours, theirs):
        gammas = [d.gamma for d in draws]
        assert 0.5 <= min(gammas) < 0.51
        assert 1.49 < max(gammas) <= 1.5


def randomized(compose, shape):
    """What MONAI's transforms draw for a volume of `shape`, without making the view."""
    crop, _, flip, rotate, shift, gamma = compose.transforms
    crop.randomize(tuple(shape))
    flip.randomize(None)
    for outer, inner in ((rotate, rotate.rand_rotate), (shift, shift.shifter)):
        outer.randomize(None)
        inner.randomize(None)
    gamma.randomize(None)
    if gamma._do_transform:  # as `RandAdjustContrastd` does
        gamma.adjuster.randomize(None)
    return augment_monai.drawn(compose)


def test_monais_views_without_brain_are_drawn_again(monkeypatch):
    shape = (14, 16, 16)
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[10:13, 12:15, 12:15] = True  # many crops miss this corner
    compose = augment_monai.recipe(shape, (4, 4, 4))
    volume = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    for seed in range(6):
        compose.set_random_state(seed=seed)
        assert augment_monai.view(compose, volume, mask).any()
    monkeypatch.setattr(augment_monai, "TRIES", 5)
    with pytest.raises(InputError, match="no usable view in 5 draws"):
        augment_monai.view(compose, volume, torch.zeros_like(mask))
