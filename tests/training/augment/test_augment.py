"""The fused augmentation against the recipe's separate steps, and its randomness."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from fmtool.errors import InputError, UsageError
from training import augment
from training.augment import PARTS, Draw, SimCLRAugment
from training.encoders import masked_zscore

SHAPE = (20, 24, 26)
AUGMENT = SimCLRAugment(output_shape=(18, 24, 30), min_crop=(8, 10, 10))
DRAW = Draw((2, 3, 4), (11, 17, 13), flip=True, angle=0.6, shift=0.0, gamma=0.7)


@pytest.fixture(scope="module")
def scan():
    """A smooth volume with an ellipsoid of brain."""
    z, y, x = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    volume = 100 * (2 + torch.sin(3 * z + y) + torch.cos(4 * x * y) + x)
    mask = (z**2 + (y - 0.1) ** 2 + (x + 0.1) ** 2) < 0.8
    return volume * mask, mask


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def sampled_3d(augment, volume, mask, draw):
    """The same view by one full 3D sampling: every voxel's place worked out in three dimensions."""
    (a, b, c), (d, h, w) = draw.start, draw.size
    crop = volume[a : a + d, b : b + h, c : c + w]
    inside = mask[a : a + d, b : b + h, c : c + w].float()
    depth, height, width = augment.output_shape
    at = torch.stack(
        torch.meshgrid(*(torch.arange(float(n)) for n in (depth, height, width)), indexing="ij"), -1
    )
    cos, sin = math.cos(draw.angle), math.sin(draw.angle)
    turn = torch.tensor([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    centre = (torch.tensor([depth, height, width]) - 1.0) / 2
    at = (at - centre) @ turn.T + centre
    at = torch.minimum(at.clamp(min=0), torch.tensor([depth, height, width]) - 1.0)
    if draw.flip:
        at[..., 2] = width - 1 - at[..., 2]
    unit = (2 * at + 1) / torch.tensor([depth, height, width]) - 1
    view = functional.grid_sample(
        crop[None, None], unit.flip(-1)[None], padding_mode="border", align_corners=False
    )[0, 0]
    z, y, x = (
        (at[..., i].round().long() * n) // m
        for i, (n, m) in enumerate(zip((d, h, w), augment.output_shape, strict=True))
    )
    spread = view.max() - view.min()
    view = ((view - view.min()) / spread) ** draw.gamma * spread + view.min()
    return view, inside[z, y, x] > 0


@pytest.mark.parametrize("angle", [0.0, 0.6, -0.785])
@pytest.mark.parametrize("flip", [False, True])
def test_fused_equals_one_full_3d_sampling(scan, angle, flip):
    draw = Draw(DRAW.start, DRAW.size, flip, angle, shift=0.0, gamma=0.7)
    view, inside = AUGMENT.apply(*scan, draw)
    expected, expected_inside = sampled_3d(AUGMENT, *scan, draw)
    torch.testing.assert_close(view, expected, atol=0.02, rtol=0)  # of a range of 400
    assert torch.equal(inside, expected_inside.float())


def test_a_view_is_zscored_inside_its_mask_and_zero_outside(scan):
    view = AUGMENT(*scan, generator())
    assert view.shape == AUGMENT.output_shape
    assert view.dtype == torch.float32
    inside = view[view != 0]
    assert abs(float(inside.mean())) < 1e-4
    assert float(inside.std(correction=0)) == pytest.approx(1, abs=1e-3)


def test_equal_seeds_give_equal_views_and_others_do_not(scan):
    first, again, other = (AUGMENT(*scan, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    one = generator(1)
    assert torch.equal(AUGMENT(*scan, one), first)
    assert not torch.equal(AUGMENT(*scan, one), first)


def test_leading_axes_are_kept_and_inputs_left_alone(scan):
    volume, mask = scan[0][None, None].clone(), scan[1][None, None].float()
    view = AUGMENT(volume, mask, generator())
    assert view.shape == (1, 1, *AUGMENT.output_shape)
    assert torch.equal(view[0, 0], AUGMENT(*scan, generator()))
    assert torch.equal(volume[0, 0], scan[0])


def test_intensity_shift_is_removed_by_the_zscore(scan):
    shifted = replace(AUGMENT, parts=frozenset(PARTS))
    volume = scan[0] / 100.0  # on the scale that the paper's shift of +-0.5 is meant for
    draws = (
        shifted.draw(torch.Size(SHAPE), generator(3)),
        AUGMENT.draw(torch.Size(SHAPE), generator(3)),
    )
    assert draws[0].shift != 0
    assert draws[1].shift == 0
    with_shift, without = (a(volume, scan[1], generator(3)) for a in (shifted, AUGMENT))
    torch.testing.assert_close(with_shift, without, atol=1e-4, rtol=0)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_left_out_leaves_the_others_as_they_were(part):
    shape, every = torch.Size((150, 192, 192)), frozenset(PARTS)
    neutral = {
        "crop": {"start": (0, 0, 0), "size": tuple(shape)},
        "flip": {"flip": False},
        "rotation": {"angle": 0.0},
        "shift": {"shift": 0.0},
        "gamma": {"gamma": 1.0},
    }[part]
    whole, less = SimCLRAugment(parts=every), SimCLRAugment(parts=every - {part})
    changed = 0
    for seed in range(50):
        with_it, without = (a.draw(shape, generator(seed)) for a in (whole, less))
        assert without == replace(with_it, **neutral)
        changed += with_it != without
    assert changed > 15


def test_without_parts_a_view_is_the_resized_volume(scan):
    bare = replace(AUGMENT, parts=frozenset())
    view = bare(*scan, generator())
    resized = [
        functional.interpolate(array.float()[None, None], bare.output_shape, mode=mode)
        for array, mode in zip(scan, ("trilinear", "nearest"), strict=True)
    ]
    torch.testing.assert_close(view, masked_zscore(*resized)[0, 0], atol=1e-4, rtol=0)


def test_an_unknown_part_is_refused():
    with pytest.raises(UsageError, match=r"'zoom'; there are crop, flip, rotation, shift, gamma"):
        SimCLRAugment(parts=frozenset({"crop", "zoom"}))


def test_a_view_without_brain_is_drawn_again(scan):
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    mask[14:17, 17:20, 18:21] = True  # many crops miss this corner
    seeds = range(8)
    missed = [
        AUGMENT.apply(scan[0], mask, AUGMENT.draw(mask.shape, generator(s)))[1] for s in seeds
    ]
    assert any(not inside.any() for inside in missed)
    volume = torch.rand(SHAPE)
    for seed in seeds:
        assert AUGMENT(volume, mask, generator(seed)).any()


def test_hopeless_scans_are_refused(scan, monkeypatch):
    monkeypatch.setattr(augment, "TRIES", 5)
    volume, mask = scan
    constant = torch.full_like(volume, 117.3)
    for bad in ((volume, torch.zeros_like(mask)), (volume * torch.nan, mask), (constant, mask)):
        with pytest.raises(InputError, match="no usable view in 5 draws"):
            AUGMENT(*bad, generator())


@pytest.mark.gpu
def test_gpu_views_equal_cpu_views(scan):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    on_gpu = AUGMENT(scan[0].cuda(), scan[1].cuda(), generator())
    torch.testing.assert_close(on_gpu.cpu(), AUGMENT(*scan, generator()), atol=1e-3, rtol=0)


def test_the_zscore_is_the_one_that_export_reproduces(scan):
    draw = AUGMENT.draw(torch.Size(SHAPE), generator())
    view = AUGMENT(*scan, generator())
    torch.testing.assert_close(view, masked_zscore(*AUGMENT.apply(*scan, draw)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("gamma", [0.5, 0.9, 1.5])
def test_gamma_is_a_power_of_the_scaled_intensities(scan, gamma):
    plain, _ = AUGMENT.apply(*scan, replace(DRAW, gamma=1.0))
    view, _ = AUGMENT.apply(*scan, replace(DRAW, gamma=gamma))
    low, spread = plain.min(), plain.max() - plain.min()
    expected = ((plain.double() - low) / spread) ** gamma * spread + low
    torch.testing.assert_close(view.double(), expected, atol=1e-6 * float(spread), rtol=1e-5)
