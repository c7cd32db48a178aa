"""Instance normalisation to a float32's rounding, the same with any number of threads.

OpenVINO 2026.4's own, behind a convolution, adds a volume's millions of voxels one after the
other: at 128^3 it is off by 4 % of a deviation with one thread and by 2 % with two (see
`findings/openvino-mvn-after-a-convolution.sh`). A head's brain probabilities moved by up to 0.99,
and a batch, whose workers have a core each, gave other answers than one scan alone. Added axis by
axis it is off by 1e-6, the same to the bit with any number of threads, and is faster. Short sums
too: their last bits, which are the threads', decide about voxels at the mask's border.
"""

from __future__ import annotations

from typing import Any


def by_axis(model: Any) -> int:
    """Have a model's normalisations add up one axis after another, in place; how many it has.

    Args:
        model: an `openvino.Model`, as read from an ONNX file.
    """
    found = [node for node in model.get_ordered_ops() if _is_of_space(node)]
    for node in found:
        node.output(0).replace(_replacement(node))
    if found:
        model.validate_nodes_and_infer_types()
    return len(found)


def _axes(node: Any) -> list[int]:
    return sorted(int(axis) for axis in node.input_value(1).get_node().data.ravel())


def _is_of_space(node: Any) -> bool:
    if node.get_type_name() != "MVN" or node.get_input_size() != 2:
        return False
    shape, told = node.get_input_partial_shape(0), node.get_attributes()
    if not told["normalize_variance"] or told["eps_mode"] != "INSIDE_SQRT":
        return False
    if node.input_value(1).get_node().get_type_name() != "Constant":
        return False
    return not any(shape[axis].is_dynamic for axis in _axes(node))


def _replacement(node: Any) -> Any:
    import numpy as np
    from openvino import opset13 as ops

    x, axes = node.input_value(0), _axes(node)

    shape = node.get_input_partial_shape(0)

    def mean(value: Any) -> Any:
        # A product after each sum: OpenVINO makes one sum of several that follow each other, which
        # has the error that is to be avoided.
        for axis in reversed(axes):
            share = np.float32(1.0 / shape[axis].get_length())
            value = ops.multiply(ops.reduce_sum(value, np.int64(axis), True), share)
        return value

    centred = ops.subtract(x, mean(x))
    spread = mean(ops.multiply(centred, centred))
    eps = np.float32(node.get_attributes()["eps"])
    return ops.divide(centred, ops.sqrt(ops.add(spread, eps))).output(0)
