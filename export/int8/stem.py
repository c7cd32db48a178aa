"""A first convolution of one channel, rearranged into four for int8: the same sum, much quicker.

int8 dot products take four channels at once; with a single channel, three quarters of them would
multiply zeros, and the first convolution would take more than half of a quantised network's time.
Four copies of the volume, shifted by 0 to 3 voxels along x, become its channels, and tap k of the
kernel becomes tap k // 4 of channel k % 4, its taps four voxels apart:

    out[x] = sum_k w[k] in[x + k - p] = sum_c sum_t w[4 t + c] in[(x + c - p) + 4 t]

The copies are made by a convolution with ones, which a quantiser can leave in int8.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

CHANNELS = 4
"""What int8 dot products take at once."""

SHIFT = "shift_x"
"""Name of the node that makes the copies."""


def rearrange(model: onnx.ModelProto) -> None:
    """Rearrange, in place, the first convolution of `model`.

    A network whose first convolution has several channels, or fewer than five taps or a stride or
    dilation along x, is left as it is.

    Args:
        model: written by `export.onnx.export`.
    """
    weights = {weight.name: weight for weight in model.graph.initializer}
    place, conv = next((i, n) for i, n in enumerate(model.graph.node) if n.op_type == "Conv")
    kernel = numpy_helper.to_array(weights[conv.input[1]])
    settings = {a.name: list(helper.get_attribute_value(a)) for a in conv.attribute if a.ints}
    step = settings.get("strides", [1, 1, 1])[2], settings.get("dilations", [1, 1, 1])[2]
    if kernel.ndim != 5 or kernel.shape[1] != 1 or kernel.shape[4] <= CHANNELS or step != (1, 1):
        return
    split = _split(kernel)
    pads = settings.get("pads", [0] * 6)
    spare = split.shape[4] * CHANNELS - kernel.shape[4]
    ones = np.eye(CHANNELS, dtype=np.float32)[:, None, None, None, :]
    copies = helper.make_node(
        "Conv",
        [conv.input[0], f"{SHIFT}.weight"],
        [f"{SHIFT}.volume"],
        SHIFT,
        # What the taps reach beyond the last copy's first voxel; the kernel's own end is zeros.
        pads=[0, 0, pads[2], 0, 0, pads[5] + spare],
    )
    wide = helper.make_node(
        "Conv",
        [f"{SHIFT}.volume", conv.input[1], *conv.input[2:]],
        conv.output,
        conv.name,
        pads=[pads[0], pads[1], 0, pads[3], pads[4], 0],
        strides=settings.get("strides", [1, 1, 1]),
        dilations=[*settings.get("dilations", [1, 1, 1])[:2], CHANNELS],
    )
    # The exporter also notes the shapes of weights, and this one's is another now.
    noted = [value for value in model.graph.value_info if value.name != conv.input[1]]
    del model.graph.value_info[:]
    model.graph.value_info.extend(noted)
    weights[conv.input[1]].CopyFrom(numpy_helper.from_array(split, conv.input[1]))
    model.graph.initializer.append(numpy_helper.from_array(ones, f"{SHIFT}.weight"))
    del model.graph.node[place]
    model.graph.node.insert(place, wide)
    model.graph.node.insert(place, copies)


def _split(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """[O, 1, z, y, x] -> [O, 4, z, y, taps], zeros appended along x."""
    spare = -kernel.shape[4] % CHANNELS
    padded = np.pad(kernel[:, 0], ((0, 0), (0, 0), (0, 0), (0, spare)))
    split = padded.reshape(*padded.shape[:3], -1, CHANNELS)
    return np.ascontiguousarray(np.moveaxis(split, 4, 1))
