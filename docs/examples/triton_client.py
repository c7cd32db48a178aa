"""A scan to a Triton server: prepared here by fmtool's runtime, computed there.

    pip install 'fmtool[cpu]' 'tritonclient[http]'
    python triton_client.py scan.nii.gz --bundle mine.fmtool --url localhost:8000

The bundle is the one that `fmtool export --triton` wrote the model from: it prepares the scan and
says what the outputs mean. The model's name is the bundle's.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import tritonclient.http as triton

from fmtool import bundle as bundles
from fmtool.bundle import Bundle
from runtime import scan
from runtime.preprocess.pipeline import prepare


def inputs(prepared: Any) -> list[triton.InferInput]:
    """The request's tensors: float32 [1, 1, 150, 192, 192], volume and mask."""
    tensors = []
    for name in ("volume", "mask"):
        array = np.ascontiguousarray(getattr(prepared, name), dtype=np.float32)[None, None]
        tensor = triton.InferInput(name, list(array.shape), "FP32")
        tensor.set_data_from_numpy(array)
        tensors.append(tensor)
    return tensors


def predict(client: triton.InferenceServerClient, bundle: Bundle, path: str) -> dict[str, float]:
    """Each task's value; the probability of its second class where a task is binary.

    Raises:
        SystemExit: if the server's model was exported from another bundle.
    """
    name = bundle.path.stem
    served = client.get_model_config(name)["parameters"]["bundle_digest"]["string_value"]
    if served != bundle.digest:
        raise SystemExit(f"the server's model {name} is of the bundle {served}, not of this one")
    outputs = [triton.InferRequestedOutput(task) for task in bundle.tasks]
    prepared = prepare(scan.read(path), bundle)
    answer = client.infer(name, inputs(prepared), outputs=outputs)
    values = {}
    for task in bundle.tasks.values():
        value = float(answer.as_numpy(task.name)[0, 0])
        values[task.name] = 1 / (1 + np.exp(-value)) if task.kind == "binary" else value
    return values


def main() -> None:
    """Parse, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scan")
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--url", default="localhost:8000")
    args = parser.parse_args()
    client = triton.InferenceServerClient(args.url, network_timeout=300.0)
    with bundles.open(args.bundle) as bundle:
        print(json.dumps(predict(client, bundle, args.scan), indent=1))


if __name__ == "__main__":
    main()
