#!/usr/bin/env bash
# Tool: onnx 1.23.2's ReferenceEvaluator; ONNX Runtime 1.32.0 for comparison
# Expected: the reference implementation answers for volumes what the standard says: GlobalMaxPool
#   one number per channel, MaxPool with SAME_LOWER ceil(size / stride) planes.
# Seen: GlobalMaxPool of N x C x 5 x 6 x 7 has the shape N x C x 5 x 1 x 1 x 1, and MaxPool with
#   SAME_LOWER and stride 2 two planes of 5 instead of three. ONNX Runtime has both right. A gate
#   that compares an engine with the reference blames the engine.
# Source: run; ONNX operator specification, GlobalMaxPool-22 and MaxPool-22.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

x = np.random.default_rng(0).normal(size=(1, 2, 5, 6, 7)).astype(np.float32)


def shapes(operator, **attributes):
    graph = helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"], **attributes)], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_empty_tensor_value_info("y")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    both = ReferenceEvaluator(model).run(None, {"x": x})[0], session.run(None, {"x": x})[0]
    print(operator, "reference:", both[0].shape, "ONNX Runtime:", both[1].shape)
    return both[0].shape, both[1].shape


whole = shapes("GlobalMaxPool")
same = shapes("MaxPool", auto_pad="SAME_LOWER", kernel_shape=[3, 3, 3], strides=[2, 1, 2])
raise SystemExit(
    (whole, same) != (((1, 2, 5, 1, 1, 1), (1, 2, 1, 1, 1)), ((1, 2, 2, 6, 3), (1, 2, 3, 6, 4)))
)
PROGRAM
