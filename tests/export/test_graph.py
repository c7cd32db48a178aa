"""The graph against NumPy: z-score, heads and maps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from export.graph import BundleGraph, masked_zscore
from export.reference import feed
from fmtool import task
from fmtool.errors import InputError, UsageError
from training import encoders


def outputs(graph, volumes):
    inputs = feed(volumes)
    with torch.inference_mode():
        found = graph(torch.from_numpy(inputs["volume"]), torch.from_numpy(inputs["mask"]))
    return dict(zip(graph.output_names, (tensor.numpy() for tensor in found), strict=True))


def zscore(volume, mask):
    inside = volume[mask > 0].astype(np.float64)
    scaled = (volume.astype(np.float64) - inside.mean()) / np.sqrt(inside.var() + 1e-12)
    return np.where(mask > 0, scaled, 0.0)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_zscore_is_numpys(volumes, offset):
    volume, mask = volumes[0]
    volume = volume + np.float32(offset)
    found = masked_zscore(torch.from_numpy(volume)[None, None], torch.from_numpy(mask)[None, None])
    # float32 keeps 7 digits of an intensity of 1e4 that varies by 100: 1e-5 of the result.
    np.testing.assert_allclose(found[0, 0].numpy(), zscore(volume, mask), atol=2e-5)


def test_zscore_is_the_one_training_uses(volumes):
    inputs = [torch.from_numpy(array) for array in feed(volumes).values()]
    torch.testing.assert_close(
        masked_zscore(*inputs), encoders.masked_zscore(*inputs), atol=1e-4, rtol=0
    )


def test_zscore_of_a_constant_or_empty_volume_is_zero(volumes):
    _, mask = volumes[0]
    mask = torch.from_numpy(mask)[None, None]
    assert masked_zscore(torch.full_like(mask, 7.0), mask).abs().max() == 0
    assert masked_zscore(torch.full_like(mask, 7.0), 0 * mask).abs().max() == 0


def test_outputs_have_the_promised_names_order_and_shapes(graph, volumes):
    found = outputs(graph, volumes)
    assert list(found) == ["embedding", "age", "sex", "age_map", "sex_map"]
    assert found["embedding"].shape == (3, 32)
    assert found["age"].shape == found["sex"].shape == (3, 1)
    assert found["age_map"].shape == (3, 1, 2, 2, 2)


def test_embedding_is_the_encoders(graph, volumes):
    scaled = np.stack([zscore(*volume)[None] for volume in volumes]).astype(np.float32)
    with torch.inference_mode():
        wanted = graph.encoder(torch.from_numpy(scaled)).numpy()
    np.testing.assert_allclose(outputs(graph, volumes)["embedding"], wanted, rtol=1e-4, atol=1e-5)


def test_a_head_is_linear_in_the_embedding(graph, volumes):
    found = outputs(graph, volumes)
    for i, name in enumerate(("age", "sex")):
        wanted = found["embedding"] @ graph.weight[i].numpy() + graph.bias[i].numpy()
        np.testing.assert_allclose(found[name][:, 0], wanted, rtol=1e-5)


def test_a_maps_mean_is_the_output(graph, volumes):
    found = outputs(graph, volumes)
    for name in ("age", "sex"):
        means = found[f"{name}_map"].mean(axis=(1, 2, 3, 4))
        np.testing.assert_allclose(means, found[name][:, 0], rtol=1e-5, atol=1e-5)
        assert found[f"{name}_map"].std() > 0


def test_intensity_scale_and_offset_change_nothing(graph, volumes):
    volume, mask = volumes[0]
    first = outputs(graph, [(volume, mask)])["embedding"]
    second = outputs(graph, [((volume * 0.01 + 3).astype(np.float32), mask)])["embedding"]
    np.testing.assert_allclose(first, second, rtol=1e-3, atol=1e-4)


def test_it_stays_in_evaluation_mode(graph):
    graph.train()
    assert not any(layer.training for layer in graph.modules())


def test_no_heads_gives_the_embedding_alone(graph, volumes):
    bare = BundleGraph(graph.encoder, [])
    assert list(outputs(bare, volumes[:1])) == ["embedding"]


def test_a_head_of_another_encoder_is_refused(graph, heads):
    with pytest.raises(InputError, match="age has 31 weights and the encoder 32 features"):
        BundleGraph(graph.encoder, [dataclasses.replace(heads[0], weight=heads[0].weight[:31])])


@pytest.mark.parametrize("name", ["embedding", "mask", "sex", "sex_map"])
def test_names_that_clash_are_refused(graph, heads, name):
    other = dataclasses.replace(heads[0], task=dataclasses.replace(task.AGE, name=name))
    with pytest.raises(UsageError, match="rename a task"):
        BundleGraph(graph.encoder, [other, heads[1]])


@pytest.mark.parametrize(
    ("name", "width", "patch"),
    [
        ("resnet50", 1 / 64, None),
        ("vit_tiny", 1 / 32, (12, 16, 16)),
        ("vit_base", 1 / 64, (12, 16, 16)),
    ],
)
def test_every_architecture_has_exact_maps(heads, volumes, name, width, patch):
    torch.manual_seed(0)
    encoder = encoders.build(name, width, patch).eval()
    rows = np.random.default_rng(0).normal(size=(2, encoders.feature_count(encoder)))
    fitted = [dataclasses.replace(h, weight=w) for h, w in zip(heads, rows, strict=True)]
    found = outputs(BundleGraph(encoder, fitted), volumes)
    scaled = np.stack([zscore(*volume)[None] for volume in volumes]).astype(np.float32)
    with torch.inference_mode():
        wanted = encoder(torch.from_numpy(scaled)).numpy()
    np.testing.assert_allclose(found["embedding"], wanted, rtol=1e-4, atol=1e-4)
    for name in ("age", "sex"):
        assert found[f"{name}_map"].shape == (3, 1, 2, 2, 2)
        assert found[f"{name}_map"].std() > 0
        means = found[f"{name}_map"].mean(axis=(1, 2, 3, 4))
        np.testing.assert_allclose(means, found[name][:, 0], rtol=1e-4, atol=1e-5)
