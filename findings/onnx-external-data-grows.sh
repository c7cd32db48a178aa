#!/usr/bin/env bash
# Tool: onnx 1.23.2
# Expected: saving a model a second time to the same place with save_as_external_data replaces its
#   file of weights, or is refused.
# Seen: in the current folder it is refused (FileExistsError); in any other the weights are
#   appended, since the check looks at the name in the current folder: the file is twice as large
#   after the second save and three times after the third, and only its end is used.
# Source: run.
#
# Exit status: 0 it is still so, 1 it has changed, 2 the packages could not be installed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv env && env/bin/pip install --quiet --no-compile \
    onnx==1.23.2 numpy==2.4.6; } || exit 2

env/bin/python -W ignore - <<'PROGRAM'
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

weights = np.zeros((16, 16, 3, 3, 3), np.float32)
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 16, 8, 8, 8])
graph = helper.make_graph(
    [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 6)], "g", [value("x")], [value("y")]
)


def save(folder):
    del graph.initializer[:]
    graph.initializer.append(numpy_helper.from_array(weights, "w"))
    onnx.save_model(
        helper.make_model(graph), os.path.join(folder, "model.onnx"),
        save_as_external_data=True, location="model.data", size_threshold=0,
    )
    return os.path.getsize(os.path.join(folder, "model.data"))


os.makedirs("elsewhere")
sizes = [save("elsewhere") for _ in range(3)]
print(f"weights of {weights.nbytes} bytes; the file after each save:", sizes)
save("")
try:
    save("")
    here = "saved"
except FileExistsError as error:
    here = "refused"
print("a second save in the current folder:", here)
raise SystemExit(sizes != [weights.nbytes * n for n in (1, 2, 3)] or here != "refused")
PROGRAM
