"""A bundle whose network is a few products on an eighth of the volume: milliseconds per run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.bench import inputs
from fmtool import bundle as bundles
from fmtool.bundle import Bundle
from fmtool.bundle import write as bundle_write
from fmtool.bundle.encoder import EncoderFacts
from fmtool.bundle.manifest import Expected
from runtime.engines.onnxruntime import OnnxRuntimeEngine

FEATURES = 4


def make_model(path: Path) -> Path:
    """embedding = mean of relu(conv(every eighth voxel)); age and sex are linear in it."""
    rng = np.random.default_rng(0)
    whole = ["batch", 1, 150, 192, 192]
    tensors = {
        "kernel": rng.normal(size=(FEATURES, 1, 3, 3, 3)),
        "age_weight": rng.normal(size=(FEATURES, 1)),
        "sex_weight": rng.normal(size=(FEATURES, 1)),
    }
    nodes = [
        helper.make_node("Mul", ["volume", "mask"], ["masked"]),
        helper.make_node("Conv", ["masked", "kernel"], ["conv"], strides=[8, 8, 8]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("ReduceMean", ["relu"], ["embedding"], axes=[2, 3, 4], keepdims=0),
        helper.make_node("MatMul", ["embedding", "age_weight"], ["age"]),
        helper.make_node("MatMul", ["embedding", "sex_weight"], ["sex"]),
    ]
    sizes = {"embedding": FEATURES, "age": 1, "sex": 1}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, whole) for n in ("volume", "mask")],
        [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", size])
            for n, size in sizes.items()
        ],
        [numpy_helper.from_array(v.astype(np.float32), n) for n, v in tensors.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, str(path))
    return path


def make(folder: Path) -> Bundle:
    """In `folder`, with the demonstration bundle's template, tasks and tolerances."""
    model = make_model(folder / "model.onnx")
    with bundles.open() as demo:
        template = demo.template
        with OnnxRuntimeEngine(model) as engine:
            outputs = engine.run(inputs.gather(demo, []))
        told = {name: array[0].tolist() for name, array in outputs.items()}
        manifest = replace(
            demo.manifest,
            name="tiny",
            model={"float32": "model.onnx"},
            encoders=[EncoderFacts(architecture="resnet18", width=1 / 16, features=FEATURES)],
            self_test=Expected(told, {"float32": 1e-3, "bfloat16": 0.1}),
        )
        files = {"model.onnx": model, template.name: template}
        return bundle_write.write(folder / "tiny.fmtool", manifest, files)
