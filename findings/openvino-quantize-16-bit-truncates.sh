#!/usr/bin/env bash
# Tool: OpenVINO 2026.4.1's ONNX reader; ONNX Runtime 1.32.0 for comparison
# Expected: QuantizeLinear to int16 and uint16 rounds half to even and saturates, as it does to
#   int8 and uint8.
# Seen: to int16 it cuts towards zero (1.5 becomes 1, 126.9 becomes 126), and to uint16 a negative
#   number wraps round (-1.5 becomes 65535). To int8 and uint8 it is right. ONNX Runtime is right
#   for all four.
# Source: run; ONNX operator specification, QuantizeLinear-21.
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


x = np.array([0.5, 1.5, 2.5, 126.9, -1.5], np.float32)
told = {}
for kind in (np.int8, np.uint8, np.int16, np.uint16):
    told[kind] = run("QuantizeLinear", x, (np.array(1, np.float32), np.array(0, kind)))
    print(f"{np.dtype(kind)}: ONNX Runtime {told[kind][0]}, OpenVINO {told[kind][1]}")
same = [bool((told[kind][0] == told[kind][1]).all()) for kind in told]
cut = told[np.int16][1].tolist() == [0, 1, 2, 126, -1] and told[np.uint16][1][4] == 65535
raise SystemExit(not (same == [True, True, False, False] and cut))
PROGRAM
