"""The bundle's model as OpenVINO runs it with nothing rearranged: a peer of our engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.bench import probe
from benchmarks.bench.system import Laps, System
from fmtool import bundle as bundles
from fmtool.errors import CapabilityError
from runtime.engines.base import Arrays
from runtime.engines.choose import choose
from runtime.engines.openvino import precisions, version
from runtime.engines.openvino.core import compile_for_cpu, core

_HINT = {"float32": "f32", "bfloat16": "bf16"}


class PlainOpenVINOSystem(System):
    """See `System`. For one volume at a time, whose shape OpenVINO plans best for.

    Args:
        spec: "bundle" and "precision", "float32" or "bfloat16".
        laps: told when OpenVINO, the bundle and the compiled model are there.

    Raises:
        CapabilityError: if this CPU does not compute in the precision.
    """

    device = "cpu"

    def __init__(self, spec: dict[str, Any], laps: Laps) -> None:
        self.precision = spec["precision"]
        if self.precision not in precisions():
            raise CapabilityError(f"OpenVINO cannot compute in {self.precision} on this CPU")
        plugin = core()
        laps.lap("library")
        bundle = bundles.open(spec["bundle"])
        laps.lap("bundle")
        network = plugin.read_model(bundle.model())
        shapes = {each.get_any_name(): each.get_partial_shape() for each in network.inputs}
        for shape in shapes.values():
            shape[0] = 1
        network.reshape(shapes)
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": _HINT[self.precision],
        }
        compiled = compile_for_cpu(network, settings)
        del network
        self._names = [output.get_any_name() for output in compiled.outputs]
        self._request: Any = compiled.create_infer_request()
        laps.lap("compile")
        self.facts = {
            "library": "openvino",
            "version": version(),
            "device": self.device,
            "precision": self.precision,
            "weights_of_bundle": True,
        }

    def run(self, inputs: Arrays) -> Arrays:
        """All outputs."""
        rows = [
            self._one({name: array[i : i + 1] for name, array in inputs.items()})
            for i in range(len(inputs["volume"]))
        ]
        return {name: np.concatenate([row[name] for row in rows]) for name in self._names}

    def _one(self, inputs: Arrays) -> Arrays:
        self._request.infer(inputs, share_inputs=True)
        return {
            name: np.array(self._request.get_tensor(name).data, dtype=np.float32)
            for name in self._names
        }

    def probes(self) -> probe.Make:
        """Probes in OpenVINO."""
        return probe.of_engine(choose("openvino", self.device, self.precision))

    def close(self) -> None:
        """Release the compiled model."""
        self._request = None
