"""BundleGraph -> one self-contained ONNX file with a dynamic batch."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch

import fmtool
from export.graph import INPUTS, BundleGraph
from fmtool import files, space

_NOISY = ("torch.onnx", "torch.export", "torch._dynamo", "onnxscript", "onnx_ir")


def export(
    graph: BundleGraph,
    path: str | os.PathLike[str],
    opset: int = 18,
    *,
    shape: tuple[int, int, int] = space.CROP_SHAPE,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write `graph` as ONNX: inputs `volume` and `mask` [batch, 1, z, y, x], outputs by name.

    BatchNorm is folded into the convolutions, every weight is inside the file, and the model's
    metadata carry fmtool's version. The file appears complete, or not at all.

    Args:
        graph: what to export; runs on float32.
        path: the file to write; replaced if it is there.
        opset: the ONNX operator set.
        shape: (z, y, x) voxels of the inputs; tests use a smaller one than the model's crop.
        metadata: further entries of the model's metadata, such as the encoder.

    Returns:
        `path`.

    Example:
        >>> from export.graph import BundleGraph
        >>> from export.onnx import export
        >>> from training import encoders
        >>> graph = BundleGraph(encoders.build("resnet18", width=0.0625), heads=[])
        >>> export(graph, "model.onnx", shape=(32, 32, 32)).name
        'model.onnx'
    """
    # A batch of two: torch.export takes a dimension of one for a constant.
    examples = tuple(torch.zeros(2, 1, *shape) for _ in INPUTS)
    batch = {0: torch.export.Dim("batch")}
    with _quiet(), torch.inference_mode():
        program = torch.onnx.export(
            graph,
            examples,
            dynamo=True,
            opset_version=opset,
            input_names=list(INPUTS),
            output_names=list(graph.output_names),
            dynamic_shapes=(batch, batch),
            verbose=False,
        )
    assert program is not None  # what dynamo=True answers
    model = program.model_proto
    check(model, graph, opset)
    for node in model.graph.node:  # the exporter's notes: stack traces with this machine's paths
        del node.metadata_props[:]
    facts = {"fmtool": fmtool.__version__, **(metadata or {})}
    onnx.helper.set_model_props(model, {key: str(value) for key, value in facts.items()})
    return save(model, path)


def save(model: onnx.ModelProto, path: str | os.PathLike[str]) -> Path:
    """Check a model with onnx's checker and write it in one step, weights inside."""
    onnx.checker.check_model(model, full_check=True)
    target = Path(path)
    with tempfile.TemporaryDirectory(prefix=files.SCRATCH, dir=target.parent) as scratch:
        staged = Path(scratch) / target.name
        onnx.save_model(model, staged, save_as_external_data=False)
        staged.replace(target)
    return target


def check(model: onnx.ModelProto, graph: BundleGraph, opset: int) -> None:
    """Names, a dynamic batch, the operator set and folded BatchNorm, as engines rely on them.

    Raises:
        RuntimeError: if the exporter did not do what it was asked; its warnings are not shown.
    """
    names = tuple(output.name for output in model.graph.output)
    if names != graph.output_names:
        raise RuntimeError(f"the exporter named the outputs {names}, not {graph.output_names}")
    for value in (*model.graph.input, *model.graph.output):
        if not value.type.tensor_type.shape.dim[0].dim_param:
            raise RuntimeError(f"the exporter fixed the batch of {value.name}")
    found = {entry.domain: entry.version for entry in model.opset_import}
    if found != {"": opset}:
        raise RuntimeError(f"the exporter wrote the operator sets {found}, not {opset}")
    left = [node.name for node in model.graph.node if node.op_type == "BatchNormalization"]
    if left:
        raise RuntimeError(f"the exporter left BatchNorm unfolded: {', '.join(left)}")
    # ONNX Runtime takes its variance as E[x^2] - E[x]^2 in float32: digits cancel, down to NaN.
    if any(node.op_type == "GroupNormalization" for node in model.graph.node):
        raise RuntimeError(f"operator set {opset} has GroupNormalization; 18 writes it in parts")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's warnings off the terminal; its errors still raise."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
