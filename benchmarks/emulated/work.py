"""What a step computes, on either machine; prints its numbers as JSON.

python -m benchmarks.emulated.work network|report ...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def network(engine: str, model: str, given: str) -> dict[str, Any]:
    """A network's outputs with one engine, by themselves."""
    volume = np.load(given)
    if engine == "onnxruntime":
        import onnxruntime

        session = onnxruntime.InferenceSession(model)
        found = session.run(None, {session.get_inputs()[0].name: volume})
    else:
        from runtime.engines.openvino import core

        compiled = core.compile_for_cpu(model, {"INFERENCE_PRECISION_HINT": "f32"})
        found = list(compiled(volume).values())
    return {"output": [float(value) for value in np.asarray(found[0]).ravel()[::97]]}


def report(series: str, engine: str, target: str) -> dict[str, Any]:
    """A series answered, its structured report written, and the numbers read back from it."""
    import pydicom

    import fmtool
    from runtime.documents import source, sr

    with fmtool.Predictor(engine=engine) as predictor:
        result = predictor.predict(series)
    document = sr.report(result, source.read(Path(series)), "emulated")
    document.save_as(target, enforce_file_format=True)
    found: list[float] = []

    def look(_: Any, element: Any) -> None:
        if element.keyword == "NumericValue":
            found.append(float(element.value))

    pydicom.dcmread(target).walk(look)
    return {"numbers": found}


if __name__ == "__main__":
    print(json.dumps({"network": network, "report": report}[sys.argv[1]](*sys.argv[2:])))
