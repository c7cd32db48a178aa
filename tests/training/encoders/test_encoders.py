"""The encoder's layout, its feature map, and the masked z-score."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fmtool.errors import UsageError
from training import encoders

TINY = 0.03125


def test_paper_size_and_upstream_names():
    with torch.device("meta"):  # shapes only: no memory, no forward pass
        encoder = encoders.build()
    count = sum(p.numel() for p in encoder.parameters())
    assert round(count / 1e6, 2) == 33.16
    names = encoder.state_dict()
    assert names["conv1.weight"].shape == (64, 1, 7, 7, 7)
    assert "layer4.0.downsample.0.bias" in names
    assert not any(name.startswith("fc.") for name in names)


@pytest.mark.parametrize(
    ("name", "width", "count", "grid"),
    [
        ("resnet18", TINY, 16, (2, 2, 3)),
        ("resnet50", TINY, 64, (2, 2, 3)),
        ("vit_tiny", 0.125, 24, (2, 2, 3)),
        ("vit_base", 0.0625, 48, (2, 2, 3)),
    ],
)
def test_embedding_is_the_mean_of_the_feature_map(name, width, count, grid):
    encoder = encoders.build(name, width).eval()
    volume = torch.randn(2, 1, 30, 32, 48)
    with torch.inference_mode():
        embedding = encoder(volume)
        features = encoders.features(encoder, volume)
    assert encoders.feature_count(encoder) == count
    assert embedding.shape == (2, count)
    assert features.shape == (2, count, *grid)
    torch.testing.assert_close(features.mean(dim=(2, 3, 4)), embedding)


@pytest.mark.parametrize(
    ("name", "features", "millions"),
    [
        ("resnet18", 512, 33.16),
        ("resnet50", 2048, 46.16),
        ("vit_tiny", 192, 6.08),
        ("vit_base", 768, 88.01),
    ],
)
def test_published_sizes(name, features, millions):
    with torch.device("meta"):
        encoder = encoders.build(name)
    count = sum(p.numel() for p in encoder.parameters())
    assert (encoders.feature_count(encoder), round(count / 1e6, 2)) == (features, millions)
    described = encoders.describe(encoder)
    assert (described.name, described.width) == (name, 1.0)
    assert described.patch == ((15, 16, 16) if name.startswith("vit") else None)


def test_first_convolution_keeps_the_resolution():
    encoder = encoders.build(width=TINY)
    assert encoder.get_submodule("conv1").stride == (1, 1, 1)
    assert encoder.get_submodule("maxpool").stride == 2


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vit_tiny", "vit_base"])
@pytest.mark.parametrize("width", [0.0, 0.01, -1.0, 5.0, float("nan"), float("inf")])
def test_impossible_width_is_refused(name, width):
    with pytest.raises(UsageError, match="width"):
        encoders.build(name, width)


def test_a_transformers_width_keeps_its_heads_whole():
    with pytest.raises(UsageError, match="multiple of 1/32"):
        encoders.build("vit_tiny", 1 / 64)
    with pytest.raises(UsageError, match="multiple of 1/64"):
        encoders.build("vit_base", 1 / 128)


@pytest.mark.parametrize("patch", [(0, 1, 1), (64, 1, 1), (8, 8)])
def test_impossible_patch_is_refused(patch):
    with pytest.raises(UsageError, match="patch"):
        encoders.build("vit_tiny", 0.125, patch=patch)


def test_a_residual_network_has_no_patch():
    with pytest.raises(UsageError, match="resnet18 has no patches"):
        encoders.build(patch=(8, 8, 8))


def test_unknown_encoder_is_refused():
    with pytest.raises(UsageError, match="resnet18"):
        encoders.build("resnet19")


def test_masked_zscore_against_numpy():
    rng = np.random.default_rng(0)
    volume = rng.normal(500.0, 80.0, (2, 1, 6, 7, 8))
    mask = rng.random(volume.shape) < 0.4
    got = encoders.masked_zscore(torch.tensor(volume, dtype=torch.float32), torch.tensor(mask))
    for index in range(2):
        inside = volume[index][mask[index]]
        expected = np.where(mask[index], (volume[index] - inside.mean()) / inside.std(), 0.0)
        np.testing.assert_allclose(got[index].numpy(), expected, atol=2e-5)


def test_masked_zscore_of_a_constant_and_of_an_empty_mask_is_zero():
    volume = torch.full((1, 1, 4, 4, 4), 7.0)
    assert not encoders.masked_zscore(volume, torch.ones_like(volume)).any()
    assert not encoders.masked_zscore(volume, torch.zeros_like(volume)).any()


def test_masked_zscore_ignores_what_is_outside():
    volume, mask = torch.randn(1, 1, 5, 5, 5), torch.rand(1, 1, 5, 5, 5) < 0.5
    other = volume.where(mask, 1000.0)
    torch.testing.assert_close(
        encoders.masked_zscore(volume, mask), encoders.masked_zscore(other, 3 * mask.float())
    )
