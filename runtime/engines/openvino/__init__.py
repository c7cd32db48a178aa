"""OpenVINO on the CPU: the fastest engine there, in float32, bfloat16 or int8.

No compiled-model cache is kept: for the full-size encoder it saved nothing of the 0.3 s of
processor time that compiling costs, and it took 125 MB more on disk and in memory (OpenVINO
2026.4).
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from fmtool.errors import CapabilityError
from runtime.engines.base import Arrays, Engine
from runtime.engines.openvino import core as openvino_core
from runtime.engines.openvino import int8 as openvino_int8
from runtime.engines.openvino import norm as openvino_norm
from runtime.engines.openvino import slabs as openvino_slabs
from runtime.engines.openvino import stem as openvino_stem
from runtime.engines.openvino.core import compile_for_cpu, precisions
from runtime.system import heap

__all__ = ["ENGINE", "OpenVINOEngine", "load", "precisions", "version"]

_HINT = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}
_EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


class OpenVINOEngine(Engine):
    """An ONNX model compiled by OpenVINO for lowest latency, for one volume at a time.

    A batch is run volume by volume: one alone fills the cores (docs/running.md), and for a batch
    that may have any size OpenVINO plans its memory badly, and needs twice as much.

    Args:
        model: an ONNX file, or its bytes; for "int8" a quantised one.
        device: "cpu".
        precision: "float32", "bfloat16" or "int8"; OpenVINO's own default would be whichever of
            the first two is faster. With "int8", the layers that are not quantised are computed
            in bfloat16 where the CPU has it and OpenVINO can compile that, else in float32.

    Raises:
        CapabilityError: if OpenVINO is missing, or the device or precision is not to be had.
    """

    library = "openvino"

    def __init__(
        self, model: Path | bytes, device: str = "cpu", precision: str = "float32"
    ) -> None:
        if device != "cpu":
            raise CapabilityError(f"OpenVINO runs on the CPU here, not on {device!r}")
        can = precisions()
        if precision not in can:
            raise CapabilityError(
                f"OpenVINO cannot compute in {precision} on this CPU; it can in {', '.join(can)}"
            )
        self.version = version() or "unknown"
        self.device = device
        self.precision = precision
        rest = "bfloat16" if precision == "int8" and "bfloat16" in can else precision
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _HINT[rest]}
        with heap.mapping():
            compiled, self._one_by_one = _compile(model, settings, precision)
        heap.give_back()
        self._names = [output.get_any_name() for output in compiled.outputs]
        self._request: Any = compiled.create_infer_request()

    def run(self, inputs: Arrays) -> Arrays:
        """All outputs by name, float32, for float32 inputs by name."""
        ready = {k: np.ascontiguousarray(v, dtype=np.float32) for k, v in inputs.items()}
        if not self._one_by_one:
            return self._infer(ready)
        count = max(map(len, ready.values()))
        each = [self._infer({k: v[i : i + 1] for k, v in ready.items()}) for i in range(count)]
        return {name: np.concatenate([one[name] for one in each]) for name in self._names}

    def _infer(self, ready: Arrays) -> Arrays:
        self._request.infer(ready, share_inputs=True)
        # A copy, because the next run overwrites OpenVINO's own buffers.
        return {
            name: np.array(self._request.get_tensor(name).data, dtype=np.float32)
            for name in self._names
        }

    def close(self) -> None:
        """Release the compiled model and its memory."""
        self._request = None


def _compile(model: Path | bytes, settings: dict[str, str], precision: str) -> tuple[Any, bool]:
    """The compiled model, and whether it takes one volume where the file takes any number."""
    network = openvino_core.core().read_model(model)
    one_by_one = _for_one(network)
    openvino_norm.by_axis(network)
    if precision == "int8":
        openvino_int8.arrange(network)
        openvino_slabs.cut(network, openvino_int8.SLABS)
    else:
        openvino_slabs.cut(network)
    if precision == "bfloat16":
        openvino_stem.rearrange(network)
    if precision != "int8":
        return compile_for_cpu(network, settings), one_by_one
    try:
        return _mixed(network, {**settings, **openvino_int8.SETTINGS}), one_by_one
    except RuntimeError as error:
        if not openvino_int8.unknown(error):
            raise
    # Without what this release does not know: the same numbers, in more memory.
    return _mixed(network, settings), one_by_one


def _mixed(network: Any, settings: dict[str, str]) -> Any:
    """A network of int8 and other layers, those in bfloat16, or in float32 where it must be."""
    try:
        return compile_for_cpu(network, settings)
    except RuntimeError:
        # OpenVINO 2026.4 cannot compile some networks of int8 and bfloat16 layers. A fault that is
        # not that is raised again here.
        return compile_for_cpu(network, {**settings, **_EXACT})


def _for_one(network: Any) -> bool:
    """Fix a batch that is open to 1; whether it was open."""
    shapes = {each.get_any_name(): each.get_partial_shape() for each in network.inputs}
    if not all(shape.rank.is_static and shape[0].is_dynamic for shape in shapes.values()):
        return False
    for shape in shapes.values():
        shape[0] = 1
    network.reshape(shapes)
    return True


def load() -> Any:
    """The OpenVINO module, or a `CapabilityError`."""
    return openvino_core.load()


def version() -> str | None:
    """The installed package's version; None when there is none."""
    try:
        return metadata.version("openvino")
    except metadata.PackageNotFoundError:
        return None


ENGINE = OpenVINOEngine
