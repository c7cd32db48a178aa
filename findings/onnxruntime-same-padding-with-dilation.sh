#!/usr/bin/env bash
# Tool: ONNX Runtime 1.32.0, CPU; OpenVINO 2026.4.1 for comparison
# Expected: auto_pad=SAME_UPPER with stride 1 keeps a volume's size, dilated or not, in
#   convolutions and in pooling.
# Seen: a dilated convolution loads and is refused when it runs ("Dilation not supported for
#   AutoPadType"); dilated pooling runs and answers a smaller volume, 4 planes of 5: the dilation
#   is left out of the padding. OpenVINO keeps all 5 in both.
# Source: run; ONNX operator specification, Conv-11 and MaxPool-12.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 numpy==2.4.6; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import os
import sys

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
sys.modules["openvino_telemetry"] = None
import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(4)


def run(operator, x, constants=(), version=21, **attributes):
    """What both engines answer for one operator, or the message of the one that refuses."""
    names = [f"c{i}" if c is not None else "" for i, c in enumerate(constants)]
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", *names], ["y"], **attributes)],
        "g",
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(c, n) for n, c in zip(names, constants) if c is not None],
    )
    opsets = [helper.make_opsetid("", version)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    try:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        first = session.run(None, {"x": x})[0]
    except Exception as error:
        first = str(error)
    try:
        second = openvino.compile_model(
            openvino.Core().read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
        )([x])[0]
    except Exception as error:
        second = str(error)
    return first, second


x = np.random.default_rng(0).normal(size=(1, 2, 5, 6, 7)).astype(np.float32)
weights = np.random.default_rng(1).normal(size=(2, 2, 3, 3, 3)).astype(np.float32)
convolved = run("Conv", x, (weights,), auto_pad="SAME_UPPER", dilations=[2, 2, 2])
pooled = run("MaxPool", x, (), auto_pad="SAME_UPPER", kernel_shape=[2, 2, 2], dilations=[2, 1, 1])
print("dilated convolution: ONNX Runtime:", convolved[0], "\nOpenVINO:", convolved[1].shape)
print("dilated pooling: ONNX Runtime", pooled[0].shape, "OpenVINO", pooled[1].shape)
raise SystemExit(not (
    "Dilation not supported" in convolved[0] and convolved[1].shape == x.shape
    and pooled[0].shape == (1, 2, 4, 6, 7) and pooled[1].shape == x.shape
))
PROGRAM
