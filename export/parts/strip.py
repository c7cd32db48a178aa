"""The skull-stripping networks: deepbet's two 3D U-Nets as ONNX, so the runtime needs no torch.

The weights are stored in half precision to halve the files; a Cast after each one keeps every
computation in float32. Nothing is lost: deepbet's weights are half-precision values already.

Source: deepbet 1.0.2 (Fisch et al. 2023), MIT licence, whose wheel carries both networks as
TorchScript.
"""

from __future__ import annotations

import tempfile
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

LOCATE = "strip_locate.onnx"
"""Whole field of view at 128^3 -> rough brain, for its bounding box."""

SEGMENT = "strip_segment.onnx"
"""The bounding box at 256^3 -> the brain mask."""

LICENCE = "LICENSES/deepbet.txt"
"""Where a bundle keeps deepbet's licence."""

_SOURCES = {LOCATE: ("bbox_model.pt", 128), SEGMENT: ("model.pt", 256)}
_TRACED = 32  # voxels per axis while tracing; the graph itself works at any multiple of 32


class _Brain(nn.Module):
    """The brain channel of a two-channel softmax network: [1, 1, D, D, D] -> the same shape."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, volume: Tensor) -> Tensor:
        return self.network(volume)[:, 1:2]


def load_torch(name: str) -> nn.Module:
    """deepbet's network behind `LOCATE` or `SEGMENT` in torch, brain channel only, in eval mode."""
    from deepbet.utils import DATA_PATH

    file, _ = _SOURCES[name]
    network = torch.jit.load(Path(DATA_PATH) / "models" / file, map_location="cpu")
    return _Brain(network.eval()).eval()


def export_strip(folder: str | Path) -> dict[str, Path]:
    """Write both networks and deepbet's licence into `folder`.

    Each network has the input "volume" [1, 1, D, D, D] (float32, normalised as
    `runtime.preprocess.strip.normalise` does) and the output "probability" of the same shape,
    with D = 128 (`LOCATE`) and 256 (`SEGMENT`).

    Returns:
        The name inside a bundle -> the file: `LOCATE`, `SEGMENT` and `LICENCE`.
    """
    target = Path(folder)
    contents = {name: _to_onnx(name).SerializeToString() for name in _SOURCES}
    contents[LICENCE] = licence().encode()
    written = {}
    for name, content in contents.items():
        file = target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.partial")
        partial.write_bytes(content)
        written[name] = partial.replace(file)
    return written


def licence() -> str:
    """The text of deepbet's licence, as its wheel carries it.

    Raises:
        FileNotFoundError: if the installed wheel lacks it; nothing may be shipped without it.
    """
    for file in metadata.files("deepbet") or []:
        if file.name.upper().startswith("LICENSE") and "deepbet-" in str(file):
            return file.read_text(encoding="utf-8")
    raise FileNotFoundError("the installed deepbet carries no LICENSE file")


def _to_onnx(name: str) -> onnx.ModelProto:
    _, size = _SOURCES[name]
    example = torch.zeros(1, 1, _TRACED, _TRACED, _TRACED)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        # The dynamo exporter refuses TorchScript, so the older one is needed, which warns that it
        # is old, that TorchScript has no signature, and that instance norms use their input.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(load_torch(name), example, check_trace=False)
        torch.onnx.export(
            traced,
            (example,),
            file,
            input_names=["volume"],
            output_names=["probability"],
            opset_version=17,
            dynamo=False,
        )
        model = onnx.load(file)
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        for axis, length in enumerate((1, 1, size, size, size)):
            value.type.tensor_type.shape.dim[axis].dim_value = length
    store_half(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def store_half(model: onnx.ModelProto) -> None:
    """Store float32 weights of `model` (in place) as float16, each followed by a Cast back."""
    graph = model.graph
    casts: list[Any] = []
    for index, tensor in enumerate(graph.initializer):
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        name, stored = tensor.name, f"{tensor.name}.half"
        values = numpy_helper.to_array(tensor).astype(np.float16)
        graph.initializer[index].CopyFrom(numpy_helper.from_array(values, stored))
        casts.append(onnx.helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
