"""Operations counted from ONNX against torch's own counter."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.bench import roofline
from benchmarks.demo import pretrain
from fmtool import bundle as bundles
from fmtool import space
from training import encoders


def by_torch(width: float, shape: tuple[int, int, int]) -> int:
    """On fake tensors, which have shapes and no contents."""
    with FakeTensorMode(), FlopCounterMode(display=False) as counter, torch.no_grad():
        encoders.build("resnet18", width).eval()(torch.zeros(1, 1, *shape))
    return int(counter.get_total_flops())


def test_the_demonstration_encoder_counts_as_in_torch() -> None:
    with bundles.open() as demo:
        about = demo.manifest.encoder
        layers = roofline.count(demo.model())
    assert about.stage is not None
    assert about.cells is not None
    both = pretrain.side_by_side(pretrain.fresh(0), pretrain.fresh(1))
    encoder = encoders.gridded(both, about.stage, about.cells).eval()
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    with fake, FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder(torch.zeros(1, 1, *space.CROP_SHAPE))
    assert len(layers) == 5
    assert sum(layer.flop for layer in layers) == counter.get_total_flops()


def test_the_full_encoder_is_the_known_1335_gflop() -> None:
    assert by_torch(1.0, space.CROP_SHAPE) == pytest.approx(1335e9, rel=5e-4)


def model(path: Path, nodes: list[onnx.NodeProto], shapes: dict[str, list[int]], out: str) -> Path:
    values = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch" if d == 0 else d for d in s])
        for n, s in shapes.items()
    ]
    result = helper.make_tensor_value_info(out, TensorProto.FLOAT, None)
    made = helper.make_model(
        helper.make_graph(nodes, "some", values, [result]),
        opset_imports=[helper.make_opsetid("", 18)],
    )
    onnx.save(made, str(path))
    return path


def test_every_kind_of_layer(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], group=2, strides=[2, 2, 2], pads=[1] * 6),
        helper.make_node("ConvTranspose", ["a", "t", "bias"], ["b"], strides=[2, 2, 2]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "g"], ["e"], transB=1),
        helper.make_node("MatMul", ["e", "m"], ["y"]),
    ]
    shapes = {
        "x": [0, 4, 8, 6, 10],
        "w": [6, 2, 3, 3, 3],
        "t": [6, 5, 2, 2, 2],
        "bias": [5],
        "g": [7, 5 * 8 * 6 * 10],
        "m": [7, 3],
    }
    path = model(tmp_path / "some.onnx", nodes, shapes, "y")
    x, w, t, _, g, m = (torch.zeros([3 if d == 0 else d for d in s]) for s in shapes.values())
    with FlopCounterMode(display=False) as counter:
        a = torch.nn.functional.conv3d(x, w, groups=2, stride=2, padding=1)
        b = torch.nn.functional.conv_transpose3d(a, t, stride=2)
        _ = (b.flatten(1) @ g.T) @ m
    layers = roofline.count(path, batch=3)
    assert sum(layer.flop for layer in layers) == counter.get_total_flops()
    assert layers[0].values == x.numel() + w.numel() + a.numel()


def test_an_unknown_shape_is_said(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("NonZero", ["x"], ["i"]),
        helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["w", "f"], ["y"]),
    ]
    path = model(tmp_path / "some.onnx", nodes, {"x": [2, 3], "w": [5, 2]}, "y")
    with pytest.raises(ValueError, match="is not known"):
        roofline.count(path)
