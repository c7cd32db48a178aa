"""A quantised ONNX graph with some of its convolutions back in floating point."""

from __future__ import annotations

from collections.abc import Collection

import onnx

DEQUANTIZE = "DequantizeLinear"


def quantised(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions that read int8 values and weights."""
    maker = {name: node.op_type for node in model.graph.node for name in node.output}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "Conv" and all(maker.get(n) == DEQUANTIZE for n in node.input[:2])
    ]


def at_inputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of `model` that rounds to int8 only what a quantised convolution reads.

    ONNX Runtime's quantiser also rounds what a convolution gives, before anything is added to it:
    an error that buys no time, as the engines add in floating point anyway.
    """
    lean = onnx.ModelProto()
    lean.CopyFrom(model)
    graph = lean.graph
    convs = set(quantised(lean))
    read = {name for node in graph.node if node.name in convs for name in node.input}
    maker = {name: node for node in graph.node for name in node.output}
    exact = {
        node.output[0]: maker[node.input[0]].input[0]
        for node in graph.node
        if node.op_type == DEQUANTIZE and node.input[0] in maker and node.output[0] not in read
    }
    for node in graph.node:
        # A round trip may follow another.
        while any(name in exact for name in node.input):
            node.input[:] = [exact.get(name, name) for name in node.input]
    _prune(graph)
    return lean


def in_float(
    model: onnx.ModelProto, plain: onnx.ModelProto, names: Collection[str]
) -> onnx.ModelProto:
    """A copy of `model` whose convolutions `names` have their unquantised weights.

    They also read what they would have read unquantised, unless others read it in int8: then it is
    there in int8 alone, as two copies would take more than all that int8 saves.

    Args:
        model: with QuantizeLinear and DequantizeLinear around its convolutions.
        plain: what it was quantised from; nodes have the same names.
        names: of convolutions.
    """
    mixed = onnx.ModelProto()
    mixed.CopyFrom(model)
    graph = mixed.graph
    maker = {name: node for node in graph.node for name in node.output}
    originals = {node.name: node for node in plain.graph.node}
    weights = {weight.name: weight for weight in plain.graph.initializer}
    int8 = set(quantised(mixed)).difference(names)
    rounded = {node.input[0] for node in graph.node if node.name in int8}
    for node in graph.node:
        if node.name in names:
            if node.input[0] not in rounded:
                node.input[0] = maker[maker[node.input[0]].input[0]].input[0]
            node.input[1] = originals[node.name].input[1]
            graph.initializer.append(weights[node.input[1]])
    return at_inputs(mixed)


def _prune(graph: onnx.GraphProto) -> None:
    """Remove nodes and weights that nothing reads any more."""
    while True:
        read = {name for node in graph.node for name in node.input}
        read.update(output.name for output in graph.output)
        kept = [node for node in graph.node if read.intersection(node.output)]
        if len(kept) == len(graph.node):
            break
        del graph.node[:]
        graph.node.extend(kept)
    held = [weight for weight in graph.initializer if weight.name in read]
    del graph.initializer[:]
    graph.initializer.extend(held)
