#!/usr/bin/env bash
# Tool: OpenVINO 2026.4.1's ONNX reader; ONNX Runtime 1.32.0 for comparison
# Expected: Resize with antialias=1, or with keep_aspect_ratio_policy, is refused or done, as ONNX
#   Runtime does it.
# Seen: both attributes are dropped without a word: the antialiased halving of a volume is the
#   plain one (off by up to 0.4 for noise of standard deviation 1), and "not_larger" than 3 x 3 x
#   3 gives 3 x 3 x 3 instead of 2 x 3 x 3.
# Source: run; ONNX operator specification, Resize-19.
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
half = np.array([1, 1, 0.5, 0.5, 0.5], np.float32)
plain = run("Resize", x, (None, half), 19, mode="linear")
smooth = run("Resize", x, (None, half), 19, mode="linear", antialias=1)
kept = run(
    "Resize", x, (None, None, np.array([3, 3, 3])), 19,
    mode="linear", axes=[2, 3, 4], keep_aspect_ratio_policy="not_larger",
)
far = [float(np.abs(a - b).max()) for a, b in zip(plain, smooth)]
print(f"what antialias changes: ONNX Runtime {far[0]:.2g}, OpenVINO {far[1]:.2g}")
print("not larger than 3x3x3: ONNX Runtime", kept[0].shape[2:], "OpenVINO", kept[1].shape[2:])
raise SystemExit(not (far[0] > 0.1 and far[1] < 1e-6 and kept[1].shape[2:] == (3, 3, 3) != kept[0].shape[2:]))
PROGRAM
