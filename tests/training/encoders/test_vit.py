"""The transformer: patches, blocks, any grid, and views that do not fit."""

from __future__ import annotations

import pytest
import torch

from fmtool.errors import UsageError
from training import encoders
from training.encoders import vit
from training.encoders.vit import sincos

pytestmark = pytest.mark.usefixtures("one_thread")

PATCH = (3, 4, 2)


def together(patches, patch, grid):
    """The volume [B, 1, D, H, W] that `patchify` cut into these patches."""
    (d, h, w), (pz, py, px) = grid, patch
    split = patches.reshape(-1, d, h, w, pz, py, px).permute(0, 1, 4, 2, 5, 3, 6)
    return split.reshape(-1, 1, d * pz, h * py, w * px)


def test_patches_are_cut_in_order():
    volume = torch.randn(2, 1, 6, 8, 6)
    patches = vit.patchify(volume, PATCH)
    assert patches.shape == (2, 2 * 2 * 3, 24)
    index = 0
    for z in range(2):
        for y in range(2):
            for x in range(3):
                cut = volume[:, 0, 3 * z : 3 * z + 3, 4 * y : 4 * y + 4, 2 * x : 2 * x + 2]
                torch.testing.assert_close(patches[:, index], cut.flatten(1))
                index += 1
    torch.testing.assert_close(together(patches, PATCH, (2, 2, 3)), volume)


@pytest.mark.parametrize("shape", [(5, 8, 6), (6, 8, 1), (0, 4, 2)])
def test_a_view_that_is_no_whole_number_of_patches_is_refused(shape):
    with pytest.raises(UsageError, match="multiples of 3x4x2"):
        vit.patchify(torch.zeros(1, 1, *shape), PATCH)
    network = encoders.build("vit_tiny", 0.125, patch=PATCH)
    with pytest.raises(UsageError, match="x".join(map(str, shape))):
        network(torch.zeros(1, 1, *shape))


def test_attention_against_a_naive_loop():
    torch.manual_seed(0)
    layer = vit.Attention(12, 3)
    tokens = torch.randn(2, 5, 12)
    q, k, v = layer.qkv(tokens).chunk(3, dim=2)
    mixed = torch.zeros(2, 5, 12)
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)
        for b in range(2):
            for i in range(5):
                scores = torch.stack([q[b, i, part] @ k[b, j, part] / 2.0 for j in range(5)])
                weights = scores.softmax(0)
                mixed[b, i, part] = sum(weights[j] * v[b, j, part] for j in range(5))
    torch.testing.assert_close(layer(tokens), layer.out_proj(mixed))


def test_a_block_computes_as_monais():
    pytest.importorskip("einops")
    from monai.networks.blocks import TransformerBlock

    torch.manual_seed(0)
    ours = vit.TransformerBlock(24, 3, 96)
    theirs = TransformerBlock(24, 96, 3, qkv_bias=True)
    missing, unexpected = theirs.load_state_dict(ours.state_dict(), strict=False)
    assert not unexpected
    assert all("cross_attn" in name for name in missing)
    tokens = torch.randn(2, 5, 24)
    torch.testing.assert_close(ours(tokens), theirs(tokens))


def test_the_whole_network_against_its_parts():
    torch.manual_seed(0)
    network = vit.ViT(12, 2, 3, 24, PATCH)
    volume = torch.randn(2, 1, 6, 4, 4)
    tokens = network.embed_patches(vit.patchify(volume, PATCH)) + sincos((2, 1, 2), 12)
    for block in network.blocks:
        tokens = tokens + block.attn(block.norm1(tokens))
        tokens = tokens + block.mlp(block.norm2(tokens))
    tokens = network.norm(tokens)
    torch.testing.assert_close(network(volume), tokens.mean(1))
    found = network.feature_map(volume)
    assert found.shape == (2, 12, 2, 1, 2)
    torch.testing.assert_close(found[:, :, 1, 0, 0], tokens[:, 2])


def test_patches_alone_are_embedded_as_in_the_volume():
    network = vit.ViT(12, 1, 3, 24, PATCH)
    volume = torch.randn(1, 1, 6, 8, 6)
    wanted = network.embed(volume).flatten(2).transpose(1, 2)
    found = network.embed_patches(vit.patchify(volume, PATCH))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    assert network.embed.weight.abs().max() <= (6 / (24 + 12)) ** 0.5  # as a linear layer starts
    assert network.embed.weight.std() > 0.2


def test_a_tokens_place_matters():
    network = vit.ViT(12, 2, 3, 24, PATCH)
    volume = torch.randn(1, 1, 6, 4, 2)
    swapped = torch.cat((volume[:, :, 3:], volume[:, :, :3]), dim=2)
    assert not torch.allclose(network(volume), network(swapped), atol=1e-3)
