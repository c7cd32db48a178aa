"""An engine's per-layer table as plain data: of the network that went in, and of what came out."""

from __future__ import annotations

import json
import re
from typing import Any

from runtime.engines.trt.logger import LogRecord

_LAYER = re.compile(r"^Name: (?P<name>.*?), LayerType: (?P<type>.*?), (?P<detail>Inputs: .*)$")
_TENSOR = re.compile(
    r"^ Name: (?P<name>.*?), IOMode: (?P<mode>.*?), DataType: (?P<type>.*?), "
    r"Dimensions: (?P<shape>\[.*?\]), .*ProfileInfo: (?P<profile>.*)$"
)
_HEADING = "Layers:\n"


def network(net: Any) -> dict[str, Any]:
    """The parsed network: "inputs", "outputs" and "layers", each with its types and shapes."""
    return {
        "inputs": [_tensor(net.get_input(i)) for i in range(net.num_inputs)],
        "outputs": [_tensor(net.get_output(i)) for i in range(net.num_outputs)],
        "layers": [_layer(net.get_layer(i)) for i in range(net.num_layers)],
    }


def inspected(trt: Any, engine: Any) -> dict[str, Any]:
    """The engine inspector's tables of a loaded engine: "layers", and "tensors" in and out."""
    inspector = engine.create_engine_inspector()
    found = json.loads(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
    tensors = found.get("I/O Tensors", found.get("Bindings"))  # the name up to TensorRT 10
    return {"source": "engine inspector", "layers": found["Layers"], "tensors": tensors}


def logged(record: LogRecord) -> dict[str, Any]:
    """The same tables as the builder logs them, for an engine that this machine cannot load.

    They are empty where the library does not log them.
    """
    tables = [text for _, text in record.messages if text.startswith(_HEADING)]
    lines = tables[-1].removeprefix(_HEADING).splitlines() if tables else []
    return {
        "source": "builder log",
        "layers": [match.groupdict() for match in map(_LAYER.match, lines) if match],
        "tensors": [match.groupdict() for match in map(_TENSOR.match, lines) if match],
    }


def _layer(layer: Any) -> dict[str, Any]:
    outputs = [_tensor(layer.get_output(i)) for i in range(layer.num_outputs)]
    return {"name": layer.name, "type": _word(layer.type), "outputs": outputs}


def _tensor(tensor: Any) -> dict[str, Any]:
    return {"name": tensor.name, "type": _word(tensor.dtype), "shape": list(tensor.shape)}


def _word(member: Any) -> str:
    """An enumeration's member without its class: "DataType.HALF" -> "half"."""
    return str(member).rsplit(".", 1)[-1].lower()
