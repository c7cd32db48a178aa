"""A gridded encoder's bundle graph: maps that add up, in every engine and precision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from benchmarks.bench import torch_system
from export.graph import BundleGraph
from export.int8 import to_int8
from export.onnx import export
from export.precision import cells, pooled, to_fp16
from export.reference import feed, reference
from export.verify import parity
from fmtool.bundle.model_graph import ModelGraph
from training import encoders

CELLS = (4, 3, 5)  # of 6x8x8 positions


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "histogram"])
def grid(request, graph, heads):
    encoder = encoders.gridded(graph.encoder, 2, CELLS, request.param)
    weights = np.random.default_rng(0).normal(size=(2, encoders.feature_count(encoder)))
    return BundleGraph(encoder, [replace(h, weight=w) for h, w in zip(heads, weights, strict=True)])


@pytest.fixture(scope="module")
def model(grid, volumes, tmp_path_factory):
    path = tmp_path_factory.mktemp("grid") / "model.onnx"
    return export(grid, path, shape=volumes[0][0].shape)


def test_a_maps_mean_is_the_output(grid, volumes):
    for found in reference(grid, volumes):
        assert found["embedding"].shape == (grid.encoder.channels * 60,)
        for name in ("age", "sex"):
            assert found[f"{name}_map"].shape == (1, 6, 8, 8)
            mean = found[f"{name}_map"].mean(dtype=np.float64)
            assert mean == pytest.approx(float(found[name][0]), abs=1e-4)


@pytest.mark.slow
def test_every_engine_and_precision_passes_its_gate(grid, model, volumes):
    graph = onnx.load(model).graph
    assert cells(graph) == 60
    assert pooled(graph).startswith("cat" if grid.encoder.histogram else "relu")
    assert parity(model, grid, volumes, 1e-5, (1, 2)).worst.share <= 1
    half = to_fp16(model, model.with_name("half.onnx"))
    assert parity(half, grid, volumes, 5e-3, (1, 2)).worst.share <= 1


@pytest.mark.slow
def test_in_int8_a_map_still_adds_up(grid, model, volumes):
    path = model.with_name("int8.onnx")
    to_int8(model, path, volumes[:2], score=lambda _: 1.0)
    session = onnxruntime.InferenceSession(path)
    found = dict(zip(grid.output_names, session.run(None, feed(volumes)), strict=True))
    means = found["age_map"].mean((1, 2, 3, 4), dtype=np.float64)
    np.testing.assert_allclose(means, found["age"][:, 0], atol=1e-3)
    wanted = np.stack([one["embedding"] for one in reference(grid, volumes)])
    apart = np.linalg.norm(found["embedding"] - wanted, axis=1) / np.linalg.norm(wanted, axis=1)
    assert apart.max() < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("half", [False, True])
def test_a_child_adds_a_head_with_its_map(grid, model, volumes, tmp_path, half):
    path = to_fp16(model, tmp_path / "half.onnx") if half else model
    graph = ModelGraph.read(path.read_bytes())
    graph.keep(["embedding"])
    weight = np.random.default_rng(1).normal(size=grid.encoder.features)
    assert graph.add_head("gap", "gap_map", weight, 2.0)
    session = onnxruntime.InferenceSession(bytes(graph))
    embedding, value, shown = session.run(["embedding", "gap", "gap_map"], feed(volumes))
    np.testing.assert_allclose(value[:, 0], embedding @ weight + 2.0, rtol=1e-4)
    np.testing.assert_allclose(shown.mean((1, 2, 3, 4)), value[:, 0], rtol=1e-4)
    with torch.inference_mode():
        inputs = [torch.from_numpy(array) for array in feed(volumes).values()]
        maps = encoders.features(grid.encoder, encoders.masked_zscore(*inputs))
        wanted = encoders.weigh(grid.encoder, maps, torch.from_numpy(weight).float()) + 2.0
    np.testing.assert_allclose(shown, wanted.numpy(), atol=2e-2 if half else 1e-3)


@pytest.mark.slow
def test_the_weights_go_back_into_torch(grid, model, volumes):
    fresh = encoders.describe(grid.encoder).build().eval()
    assert torch_system.load(fresh, model) == torch_system.BUNDLE
    with torch.inference_mode():
        volume = torch.from_numpy(feed(volumes)["volume"])
        torch.testing.assert_close(fresh(volume), grid.encoder(volume), rtol=1e-3, atol=1e-3)
