"""A network's wide entrance computed slab by slab: the same numbers in a fraction of the memory.

The first convolution of a 3D ResNet keeps the volume's size, and the max-pooling after it makes it
an eighth of that: what is between them is by far the largest thing that the network ever holds (at
full size 708 MB in bfloat16, ten times the weights). Here the volume is cut along z into slabs that
overlap by what the kernels reach; each goes through the convolution and the pooling by itself, and
the pooled slabs are put together again. A plane at each cut is computed twice, which is the price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

COUNT = 6
"""More save little more: what remains is then the next layers'."""

_Z = 2  # the axis that is cut, of [N, C, z, y, x]


@dataclass(frozen=True)
class Reach:
    """How a convolution or pooling goes along z."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int

    def needs(self, first: int, last: int) -> tuple[int, int, int, int]:
        """What the outputs from `first` to before `last` are computed from.

        Returns:
            The inputs from a first one to before a last one, and the padding before and after.
        """
        start = first * self.stride - self.before
        stop = (last - 1) * self.stride - self.before + (self.kernel - 1) * self.dilation + 1
        inside = max(start, 0), min(stop, self.size)
        return (*inside, inside[0] - start, stop - inside[1])


def cut(model: Any, count: int = COUNT) -> int:
    """Compute, in place, the entrance of `model` in `count` slabs; of several encoders, each one's.

    The entrance is everything from the volume's last use as one channel to the first pooling. A
    network without a pooling behind its first convolution is left as it is, and so is a quantised
    one that was not arranged (`runtime.engines.openvino.int8`).

    Args:
        model: an `openvino.Model`, as read from an ONNX file.

    Returns:
        How many slabs there are; 1 where the model was left as it is.
    """
    pools = [node for node in model.get_ordered_ops() if node.get_type_name() == "MaxPool"]
    made = [_cut(pool, path, count) for pool in pools if (path := _entrance(pool))]
    if made:
        model.validate_nodes_and_infer_types()
    return max(made, default=1)


def _entrance(pool: Any) -> list[Any]:
    """From an entrance's pooling back to the volume; nothing of another pooling."""
    path = _path(pool)
    if any(node.get_type_name() == "MaxPool" for node in path[1:]) or _rounded_afterwards(pool):
        return []
    return path


def _cut(pool: Any, path: Sequence[Any], count: int) -> int:
    """One entrance in `count` slabs; how many there are."""
    from openvino import opset13 as ops

    planes = int(pool.output(0).get_partial_shape()[_Z].get_length())
    edges = np.linspace(0, planes, min(count, planes) + 1).round().astype(int)
    pooled = [_slab(path, int(a), int(b)) for a, b in pairwise(edges)]
    whole = ops.concat([slab.output(0) for slab in pooled], _Z)
    pool.output(0).replace(whole.output(0))
    return len(pooled)


def _path(pool: Any) -> list[Any]:
    """From the pooling back to the volume; nothing where something else is on the way."""
    path = [pool]
    convolutions = 0
    while True:
        value = path[-1].input_value(0)
        node = value.get_node()
        shape = value.get_partial_shape()
        others = [node.input_value(i).get_node() for i in range(1, node.get_input_size())]
        simple = node.get_input_size() > 0 and all(map(_constant, others))
        if not simple and convolutions and shape[1] == 1:
            return path
        known = simple and node.get_type_name() in _KNOWN and shape[_Z].is_static
        if not known or len(_readers(value)) != 1:
            return []
        convolutions += node.get_type_name() == "Convolution"
        path.append(node)


def _readers(value: Any) -> list[str]:
    """Types of the nodes that read a value's numbers; a bias's layout asks for its shape, too."""
    users = [each.get_node().get_type_name() for each in value.get_target_inputs()]
    return [user for user in users if user != "ShapeOf"]


def _rounded_afterwards(pool: Any) -> bool:
    """OpenVINO 2026.4 would move such a rounding into the slabs, and compute other numbers."""
    return "FakeQuantize" in _readers(pool.output(0))


def _constant(node: Any) -> bool:
    """Whether a value is made of constants and known shapes, as int8 weights and biases are."""
    if node.get_type_name() == "ShapeOf":
        return bool(node.input_value(0).get_partial_shape().is_static)
    if node.get_input_size() == 0:
        return bool(node.get_type_name() == "Constant")
    return all(_constant(node.input_value(i).get_node()) for i in range(node.get_input_size()))


def _slab(path: Sequence[Any], first: int, last: int) -> Any:
    """The pooling's outputs from `first` to before `last`."""
    from openvino import opset13 as ops

    pads: list[tuple[int, int]] = []
    for node in path:
        if node.get_type_name() in _MOVES:
            first, last, before, after = _reach(node).needs(first, last)
            pads.append((before, after))
        else:
            pads.append((0, 0))
    slab = ops.slice(path[-1].input_value(0), [first], [last], [1], [_Z])
    for node, padding in zip(reversed(path), reversed(pads), strict=True):
        slab = _again(node, slab, *padding)
    return slab


_MOVES = ("Convolution", "MaxPool")
_PLAIN = ("Relu", "Add", "Subtract", "Multiply", "Maximum")
_KNOWN = {*_MOVES, *_PLAIN, "Convert", "FakeQuantize"}


def _copied(value: Any) -> Any:
    """A constant of the slab's own: OpenVINO computes a bias, and the activation behind it, inside
    the convolution only where nothing else reads that bias."""
    from openvino import opset13 as ops

    source = value.get_node()
    while source.get_type_name() in ("Reshape", "Unsqueeze", "Convert"):
        source = source.input_value(0).get_node()
    if source.get_type_name() != "Constant" or value.get_partial_shape().is_dynamic:
        return value
    kind = value.get_element_type().to_dtype()
    return ops.constant(np.array(source.get_data(), dtype=kind).reshape(value.get_shape()))


def _reach(node: Any) -> Reach:
    settings = node.get_attributes()
    pool = node.get_type_name() == "MaxPool"
    kernel = settings["kernel"][0] if pool else node.input_value(1).get_shape()[_Z]
    return Reach(
        size=int(node.input_value(0).get_partial_shape()[_Z].get_length()),
        kernel=int(kernel),
        stride=int(settings["strides"][0]),
        dilation=int(settings["dilations"][0]) if "dilations" in settings else 1,
        before=int(settings["pads_begin"][0]),
    )


def _again(node: Any, value: Any, before: int, after: int) -> Any:
    """`node` on a slab, with other padding along z."""
    from openvino import opset13 as ops

    settings, kind = node.get_attributes(), node.get_type_name()
    rest = [node.input_value(i) for i in range(1, node.get_input_size())]
    if kind == "Convert":
        return ops.convert(value, settings["destination_type"])
    if kind == "FakeQuantize":
        return ops.fake_quantize(value, *rest, settings["levels"])
    if kind in _PLAIN:
        return getattr(ops, kind.lower())(value, *map(_copied, rest))
    begin, end = list(settings["pads_begin"]), list(settings["pads_end"])
    begin[0], end[0] = before, after
    if kind == "Convolution":
        return ops.convolution(value, *rest, settings["strides"], begin, end, settings["dilations"])
    return ops.max_pool(
        value,
        settings["strides"],
        settings.get("dilations", [1, 1, 1]),
        begin,
        end,
        settings["kernel"],
        settings["rounding_type"],
    )
