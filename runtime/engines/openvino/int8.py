"""A quantised network laid out so that OpenVINO keeps its activations in single bytes.

An exported model rounds symmetrically, to -128 to 127, which every engine reads. OpenVINO then
works with an offset of 128, and keeps in bfloat16 what an offset or a pooling lies behind: half of
the activations take twice their memory. Here, before compilation,

* what cannot be negative is rounded to 0 to 255 with the same step and without an offset. Numbers
  up to the largest one of the calibration are as before; beyond it they are no longer cut off;
* what is pooled and then rounded is rounded first: a maximum of rounded numbers is the rounded
  maximum;
* a volume of one channel is rounded behind a comparison that changes nothing: rounded by itself
  OpenVINO would lay it out as sixteen channels of float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SETTINGS = {"SNIPPETS_MODE": "DISABLE"}
"""Lets a sum of the residual network be computed in the convolution before it, in place.

OpenVINO 2025 to 2026 otherwise gathers the sum and the rounding behind it in a kernel of their own,
which reads the convolution's result in bfloat16. The setting is one of the CPU plugin's internal
ones; a release that lacks it refuses it by name (`unknown`).
"""

SLABS = 8
"""Of the entrance (`openvino_slabs`). What OpenVINO 2026.4 plans for them takes less memory at full
size than with 4 to 12 others; 25 save 2 % more and cost as much time."""

_TYPES = ["Convert", "Convert", "Subtract", "Multiply"]
_LEVELS = 256


@dataclass(frozen=True)
class Rounding:
    """A rounding as it is read from ONNX: QuantizeLinear, then DequantizeLinear.

    Attributes:
        quantise: the FakeQuantize node.
        result: the output that has the rounded values.
        step: between two of them.
    """

    quantise: Any
    result: Any
    step: float


def arrange(model: Any) -> int:
    """Lay out, in place, the roundings of `model`.

    Args:
        model: an `openvino.Model`, as read from a quantised ONNX file.

    Returns:
        How many have no offset any more.
    """
    count = 0
    for node in model.get_ordered_ops():
        rounding = _rounding(node)
        if rounding is None:
            continue
        if _positive(node.input_value(0)):
            _without_offset(rounding)
            count += 1
        elif node.input_value(0).get_partial_shape()[1] == 1:
            _behind_a_comparison(node)
    model.validate_nodes_and_infer_types()
    return count


def unknown(error: RuntimeError) -> bool:
    """Whether OpenVINO refused a network because it does not know `SETTINGS`."""
    return "Unsupported property" in str(error) and any(name in str(error) for name in SETTINGS)


def _rounding(node: Any) -> Rounding | None:
    """The one that `node` begins, if its zero point is 0 and nothing else reads its inside."""
    if node.get_type_name() != "FakeQuantize":
        return None
    inside = [node]
    for kind in _TYPES:
        users = [each.get_node() for each in inside[-1].output(0).get_target_inputs()]
        if [user.get_type_name() for user in users] != [kind]:
            return None
        inside.append(users[0])
    zero, step = (_constant(each.input_value(1)) for each in inside[-2:])
    if zero is None or step is None or zero != 0:
        return None
    return Rounding(node, inside[-1].output(0), step)


def _constant(value: Any) -> float | None:
    """A value that is one constant number, perhaps converted."""
    node = value.get_node()
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant" or np.size(node.data) != 1:
        return None
    return float(node.data.item())


def _positive(value: Any) -> bool:
    node = value.get_node()
    if node.get_type_name() == "MaxPool":
        return _positive(node.input_value(0))
    return bool(node.get_type_name() == "Relu")


def _without_offset(rounding: Rounding) -> None:
    value = rounding.quantise.input_value(0)
    pool = value.get_node()
    if pool.get_type_name() == "MaxPool" and len(value.get_target_inputs()) == 1:
        pool.input(0).replace_source_output(_bytes(pool.input_value(0), rounding.step))
        rounding.result.replace(value)
    else:
        rounding.result.replace(_bytes(value, rounding.step))


def _bytes(value: Any, step: float) -> Any:
    from openvino import opset13 as ops

    low, high = (ops.constant(np.float32(k * step)) for k in (0, _LEVELS - 1))
    return ops.fake_quantize(value, low, high, low, high, _LEVELS).output(0)


def _behind_a_comparison(quantise: Any) -> None:
    from openvino import opset13 as ops

    least = quantise.input_value(1)  # what is below it becomes it in any case
    larger = ops.maximum(quantise.input_value(0), least)
    quantise.input(0).replace_source_output(larger.output(0))
