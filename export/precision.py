"""A float32 ONNX model -> the same in FP16, where FP16 is safe."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Sequence
from graphlib import TopologicalSorter
from pathlib import Path

import onnx
from onnx import TensorProto

from export.graph import EMBEDDING
from export.onnx import save
from fmtool.bundle.model_graph import POOLING


def to_fp16(
    onnx_path: str | os.PathLike[str],
    out_path: str | os.PathLike[str],
    kept: Collection[str] = (),
    embeddings: Sequence[str] = (EMBEDDING,),
) -> Path:
    """Write `onnx_path` with FP16 weights and compute, float32 inputs and outputs.

    FP16 runs from the first convolution to the feature map. The masked z-score before it (sums
    over millions of voxels, which overflow FP16) and the pooling, heads and maps after it (small,
    and the last digits of an age) stay float32.

    Args:
        onnx_path: a model written by `export.onnx.export`.
        out_path: the file to write; appears complete, or not at all.
        kept: further nodes to leave in float32, by name; see `export.half.beyond`.
        embeddings: the outputs that are one, of each encoder.

    Returns:
        `out_path`.

    Example:
        >>> from export.graph import BundleGraph
        >>> from export.onnx import export
        >>> from export.precision import to_fp16
        >>> from training import encoders
        >>> graph = BundleGraph(encoders.build("resnet18", width=0.0625), heads=[])
        >>> model = export(graph, "model.onnx", shape=(32, 32, 32))
        >>> half = to_fp16(model, "model.fp16.onnx")
        >>> round(half.stat().st_size / model.stat().st_size, 1)
        0.5
    """
    # Imported here: onnxruntime's converter alone takes a second to load.
    from onnxruntime.transformers.float16 import (
        DEFAULT_OP_BLOCK_LIST,
        convert_float_to_float16,
    )

    model = onnx.load(os.fspath(onnx_path))
    trunk = set().union(*(trunk_nodes(model.graph, name) for name in embeddings))
    blocked = [n.name for n in model.graph.node if n.name not in trunk or n.name in kept]
    half = convert_float_to_float16(
        model, keep_io_types=True, op_block_list=DEFAULT_OP_BLOCK_LIST, node_block_list=blocked
    )
    _drop_round_trips(half.graph)
    return save(half, out_path)


def pooled(graph: onnx.GraphProto, embedding: str = EMBEDDING) -> str:
    """Name of the feature map [B, C, z, y, x] whose means over positions are the embedding."""
    return str(_pooling(graph, embedding)[-1].input[0])


def cells(graph: onnx.GraphProto) -> int:
    """Into how many cells the feature map is split: one unless the encoder is gridded."""
    return math.prod(len(node.output) for node in _pooling(graph, EMBEDDING))


def _pooling(graph: onnx.GraphProto, embedding: str) -> list[onnx.NodeProto]:
    """From the embedding's node back to that which reads the feature map."""
    maker = {name: node for node in graph.node for name in node.output}
    found = [maker[embedding]]
    while found[-1].op_type != "ReduceMean":
        before = maker[found[-1].input[0]]
        if before.op_type not in POOLING or _joins_channels(before, maker):
            break
        found.append(before)
    return found


def _joins_channels(node: onnx.NodeProto, maker: dict[str, onnx.NodeProto]) -> bool:
    """The feature map's own end: what pools joins nothing but sums."""
    return node.op_type == "Concat" and maker[node.input[0]].op_type != "ReduceSum"


def trunk_nodes(graph: onnx.GraphProto, embedding: str = EMBEDDING) -> set[str]:
    """Names of the nodes from the first convolution to the feature map that is pooled."""
    maker = {name: node for node in graph.node for name in node.output}
    ancestors: dict[str, onnx.NodeProto] = {}
    waiting = [maker[pooled(graph, embedding)]]
    while waiting:
        node = waiting.pop()
        if node.name not in ancestors:
            ancestors[node.name] = node
            waiting += [maker[name] for name in node.input if name in maker]
    trunk: set[str] = set()
    reached: set[str] = set()
    for node in graph.node:  # ONNX lists nodes in topological order
        if node.op_type == "Conv" or reached.intersection(node.input):
            reached.update(node.output)
            if node.name in ancestors:
                trunk.add(node.name)
    return trunk


def _drop_round_trips(graph: onnx.GraphProto) -> None:
    """Remove the casts float32 -> FP16 -> float32 that the converter puts between float32 nodes.

    It casts every tensor to FP16, also from one blocked node to the next: the sum of a volume's
    intensities would pass through FP16 and come out infinite.
    """
    nodes = list(graph.node)
    narrowed = {n.output[0]: n.input[0] for n in nodes if _casts_to(n, TensorProto.FLOAT16)}
    # It also casts float32 weights of float32 nodes to float32.
    narrowed |= {w.name: w.name for w in graph.initializer if w.data_type == TensorProto.FLOAT}
    outputs = {output.name for output in graph.output}
    renamed: dict[str, str] = {}
    kept = []
    for node in nodes:
        if _casts_to(node, TensorProto.FLOAT) and node.input[0] in narrowed:
            exact, copy = narrowed[node.input[0]], node.output[0]
            # A graph's output keeps its name, so there the exact tensor takes it.
            renamed |= {exact: copy} if copy in outputs else {copy: exact}
        else:
            kept.append(node)
    for node in kept:
        for names in (node.input, node.output):
            names[:] = [_follow(name, renamed) for name in names]
    used = outputs.union(*(node.input for node in kept))
    kept = [node for node in kept if used.intersection(node.output)]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(_sorted(kept))


def _casts_to(node: onnx.NodeProto, kind: int) -> bool:
    return node.op_type == "Cast" and any(a.name == "to" and a.i == kind for a in node.attribute)


def _follow(name: str, renamed: dict[str, str]) -> str:
    while name in renamed:
        name = renamed[name]
    return name


def _sorted(nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """`nodes` in topological order; the converter appends its casts at the end."""
    maker = {name: i for i, node in enumerate(nodes) for name in node.output}
    order = TopologicalSorter(
        {i: {maker[name] for name in node.input if name in maker} for i, node in enumerate(nodes)}
    )
    return [nodes[i] for i in order.static_order()]
