"""Whether this machine can hold a batch of the model: asked before it tries, and is killed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import onnx

from fmtool.errors import CapabilityError
from runtime.system.machine import free_memory

_PER_TENSOR = 1.25
# Gigabytes per volume, over those of the largest activation: 1.1 measured, ONNX Runtime and
# OpenVINO, ResNet-18 at full size.


_ROUNDING = 4
# Volumes' worth of memory that `export.half` takes for one.


def check_room(model_path: Path, batches: Sequence[int], fp16: bool = False) -> None:
    """Refuse a comparison whose activations this machine's free memory does not hold.

    Args:
        model_path: the float32 ONNX file.
        batches: to be run.
        fp16: whether an FP16 model is compared too.

    Raises:
        CapabilityError: naming what it needs and what is free.
    """
    free, batch = free_memory(), max(batches)
    if free is None:
        return
    copies = max(batch, _ROUNDING) if fp16 else batch
    needed = _PER_TENSOR * copies * largest_activation(model_path)
    if needed > free:
        what = f"at batch {batch}" if copies == batch else "with FP16 rounding"
        wish = "declare a smaller --batch" if copies == batch else "leave out --fp16"
        raise CapabilityError(
            f"comparing the model with torch {what} takes about {needed / 2**30:.1f} GiB of "
            f"memory, and {free / 2**30:.1f} are free; {wish}, or export on a larger machine; "
            "nothing was written"
        )


def largest_activation(model_path: Path) -> int:
    """Bytes of the largest tensor that a node computes, float32, for one volume."""
    inferred = onnx.shape_inference.infer_shapes(onnx.load(model_path)).graph
    shapes = (
        [axis.dim_value or 1 for axis in value.type.tensor_type.shape.dim]  # a batch of one
        for value in (*inferred.value_info, *inferred.output)
    )
    return 4 * max(math.prod(shape) for shape in shapes)
