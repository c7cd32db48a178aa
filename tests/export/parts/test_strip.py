"""The exported skull-stripping networks: their contract, their size, their parity with torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
pytest.importorskip("deepbet")

from export.parts.strip import LICENCE, LOCATE, SEGMENT, export_strip, load_torch  # noqa: E402

SIZES = {LOCATE: 128, SEGMENT: 256}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return export_strip(tmp_path_factory.mktemp("strip"))


def test_names_and_nothing_left_behind(files: dict[str, Path]) -> None:
    assert set(files) == {LOCATE, SEGMENT, LICENCE}
    folder = files[LOCATE].parent
    assert {p for p in folder.rglob("*") if p.is_file()} == set(files.values())


def test_the_licence_is_deepbets(files: dict[str, Path]) -> None:
    text = files[LICENCE].read_text(encoding="utf-8")
    assert "Permission is hereby granted, free of charge" in text
    assert "Copyright" in text


@pytest.mark.parametrize("name", SIZES)
def test_contract(files: dict[str, Path], name: str) -> None:
    graph = onnx.load(str(files[name])).graph
    for values, expected in ((graph.input, "volume"), (graph.output, "probability")):
        (value,) = values
        tensor = value.type.tensor_type
        assert value.name == expected
        assert tensor.elem_type == onnx.TensorProto.FLOAT
        assert [d.dim_value for d in tensor.shape.dim] == [1, 1, *(SIZES[name],) * 3]


@pytest.mark.parametrize("name", SIZES)
def test_weights_are_half_and_computation_is_single(files: dict[str, Path], name: str) -> None:
    assert files[name].stat().st_size < 4.5e6
    graph = onnx.load(str(files[name])).graph
    assert graph.initializer
    assert all(w.data_type == onnx.TensorProto.FLOAT16 for w in graph.initializer)
    halves = {w.name for w in graph.initializer}
    for node in graph.node:
        if halves & set(node.input):
            assert node.op_type == "Cast"
            assert node.attribute[0].i == onnx.TensorProto.FLOAT


@pytest.mark.parametrize("name", SIZES)
def test_half_precision_loses_nothing(name: str) -> None:
    weights = [w.detach() for w in load_torch(name).parameters()]
    assert weights
    assert all(torch.equal(w, w.half().float()) for w in weights)


@pytest.mark.parametrize("name", SIZES)
def test_parity_with_torch(files: dict[str, Path], name: str) -> None:
    """On 64^3, which the fully convolutional graph takes once its declared size is changed."""
    model = onnx.load(str(files[name]))
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim[2:]:
            dim.dim_value = 64
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    axis = np.linspace(-1, 1, 64, dtype=np.float32) ** 2
    ball = (axis[:, None, None] + axis[:, None] + axis < 0.4).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.05, ball.shape)
    volume = (0.3 + 0.4 * ball + noise).astype(np.float32)[None, None]
    (got,) = session.run(["probability"], {"volume": volume})
    with torch.no_grad():
        wanted = load_torch(name)(torch.from_numpy(volume)).numpy()
    assert got.shape == wanted.shape
    assert 0.02 < wanted.mean() < 0.98  # an answer that is the same everywhere proves nothing
    assert np.abs(got - wanted).mean() < 1e-3
    assert np.mean((got > 0.5) != (wanted > 0.5)) < 1e-3
