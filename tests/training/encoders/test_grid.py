"""A gridded encoder: its cells against loops, what its folder keeps, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from fmtool.errors import InputError, UsageError
from training import encoders
from training.encoders.grid import sizes

WIDTH = 1 / 16


@pytest.fixture(scope="module")
def whole():
    return encoders.fresh(width=WIDTH).eval()


@pytest.mark.parametrize(
    ("stage", "cells"), [(1, (1, 2, 5)), (2, (3, 3, 4)), (3, (2, 3, 1)), (4, (1, 1, 1))]
)
def test_embedding_and_map_are_those_of_loops(whole, stage, cells):
    encoder = encoders.gridded(whole, stage, cells)
    volume = torch.randn(2, 1, 26, 32, 34)
    weight = torch.randn(encoders.feature_count(encoder))
    with torch.inference_mode():
        maps = encoders.features(encoder, volume)
        embedding = encoder(volume)
        found = encoders.weigh(encoder, maps, weight)
    channels = maps.shape[1]
    assert channels == 4 * 2 ** (stage - 1)
    edges = [np.cumsum([0, *sizes(n, k)]) for n, k in zip(maps.shape[2:], cells, strict=True)]
    wanted = torch.zeros(2, channels, *cells)
    shown = torch.zeros(2, *maps.shape[2:])
    grid = weight.reshape(channels, *cells)
    for k in np.ndindex(*cells):
        part = tuple(slice(e[i], e[i + 1]) for e, i in zip(edges, k, strict=True))
        inside = maps[(slice(None), slice(None), *part)]
        wanted[(slice(None), slice(None), *k)] = inside.sum((2, 3, 4)) / maps[0, 0].numel()
        shown[(slice(None), *part)] = torch.einsum("bczyx,c->bzyx", inside, grid[(slice(None), *k)])
    torch.testing.assert_close(embedding, wanted.flatten(1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found[:, 0], shown, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.mean((1, 2, 3, 4)), embedding @ weight, rtol=1e-4, atol=1e-5)
    # Without its cells it is what the cut network pools.
    pooled = embedding.reshape(2, channels, -1).sum(-1)
    torch.testing.assert_close(pooled, maps.mean((2, 3, 4)), rtol=1e-5, atol=1e-6)


def test_one_cell_after_the_last_stage_is_the_whole_network(whole):
    volume = torch.randn(1, 1, 32, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(
            encoders.gridded(whole, 4, (1, 1, 1))(volume), whole(volume), rtol=1e-5, atol=1e-6
        )


def test_cells_are_as_equal_as_can_be_and_alike_from_both_ends():
    for positions in (10, 19, 24, 38, 48):
        for cells in range(1, 9):
            found = sizes(positions, cells)
            assert sum(found) == positions
            assert max(found) - min(found) <= 1
            if positions % 2 == 0:
                assert found == found[::-1]


def test_its_folder_is_read_back_equal_and_its_digest_covers_the_grid(whole, tmp_path):
    encoder = encoders.gridded(whole, 2, (3, 3, 4))
    folder = encoders.save_encoder(tmp_path / "grid", encoder, source="random")
    again, info = encoders.load_checkpoint(folder)
    volume = torch.randn(1, 1, 24, 32, 32)
    with torch.inference_mode():
        assert torch.equal(again(volume), encoder(volume))
    assert (info["architecture"], info["stage"], info["cells"]) == ("resnet18", 2, [3, 3, 4])
    assert info["features"] == 8 * 36
    assert encoders.describe(again) == encoders.describe(encoder)
    assert not any(name.startswith("layer3") for name in again.state_dict())
    digests = [encoders.digest(encoders.gridded(whole, 2, c)) for c in ((3, 3, 4), (3, 4, 3))]
    assert info["sha256"] == encoders.digest(encoder) == digests[0] != digests[1]

    facts = json.loads((folder / "encoder.json").read_text())
    (folder / "encoder.json").write_text(json.dumps({**facts, "cells": [4, 3, 3]}))
    with pytest.raises(InputError, match="another grid than the weights"):
        encoders.load_checkpoint(folder)


def test_a_deep_network_is_named_whatever_is_cut_off():
    network = encoders.fresh("resnet50", WIDTH)
    encoder = encoders.gridded(network, 1, (2, 2, 2))
    assert encoders.describe(encoder).name == "resnet50"
    assert encoders.feature_count(encoder) == 16 * 8  # four times the stem's channels
    assert encoders.describe(encoders.describe(encoder).build()) == encoders.describe(encoder)


def test_gradients_are_the_same_with_little_memory(whole):
    encoder = encoders.gridded(whole, 2, (2, 2, 2)).train()
    volume = torch.randn(2, 1, 16, 16, 16)
    found = []
    for recompute in (False, True):
        encoder.zero_grad()
        encoders.pool(
            encoder, encoders.features(encoder, volume, recompute)
        ).square().sum().backward()
        found.append(encoder.get_submodule("conv1").weight.grad.clone())
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-6)


def test_the_maps_shape_is_told_without_computing_it(whole):
    encoder = encoders.gridded(whole, 2, (5, 6, 6))
    assert encoders.map_shape(encoder, (150, 192, 192)) == (38, 48, 48)
    assert encoders.map_shape(whole, (150, 192, 192)) == (10, 12, 12)
    with pytest.raises(UsageError, match="6 cells do not fit the 4 positions"):
        encoders.map_shape(encoder, (32, 16, 16))


@pytest.mark.parametrize(
    ("stage", "cells", "words"),
    [(0, (2, 2, 2), "no stage 0"), (5, (2, 2, 2), "no stage 5"), (2, (0, 2, 2), "not possible")],
)
def test_an_impossible_grid_is_refused(whole, stage, cells, words):
    with pytest.raises(UsageError, match=words):
        encoders.gridded(whole, stage, cells)


def test_only_a_whole_residual_network_is_gridded(whole):
    for other in (encoders.build("vit_tiny", 1 / 32), encoders.gridded(whole, 2, (2, 2, 2))):
        with pytest.raises(UsageError, match="only a whole residual network"):
            encoders.gridded(other, 2, (2, 2, 2))
