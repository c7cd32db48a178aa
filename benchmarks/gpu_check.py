"""On a machine with a GPU: what is there, what to do for the rest, the tests, the benchmark.

    python -m benchmarks.gpu_check [--json FILE]

Exits with 3 where there is no GPU, with 1 where a test or the benchmark fails.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.shared import script
from runtime import doctor

CUDA = 13
"""What the packages of the extras are built for; NVIDIA's driver 580 is the first to run it."""


def advice(facts: dict[str, Any]) -> list[str]:
    """What there is and what to do, a sentence each.

    Args:
        facts: by `runtime.doctor.examine`.
    """
    if not facts["gpus"]:
        return [
            f"No GPU: {facts['no_gpu']}. On a machine with an NVIDIA GPU, install NVIDIA's driver "
            "580 or newer and run this again."
        ]
    lines = [f"cuda:{g['number']}: {g['name']} ({g['capability']})" for g in facts["gpus"]]
    lines.append(f"The driver runs CUDA {facts['driver_cuda']}.")
    if int(facts["driver_cuda"].split(".")[0]) < CUDA:
        lines.append(
            f"Update the driver to 580 or newer: onnxruntime-gpu, TensorRT-RTX and TensorRT as pip "
            f"installs them are built for CUDA {CUDA}."
        )
    if any(gpu["capability"] == "sm90" for gpu in facts["gpus"]):
        lines.append(
            "On Hopper (sm90) TensorRT-RTX has nothing: ONNX Runtime with CUDA (`onnxruntime`) or "
            "TensorRT (`tensorrt`) runs there."
        )
    for backend in (b for b in facts["backends"] if b["device"] == "cuda"):
        if backend["available"]:
            lines.append(f"{backend['name']} {backend['version']}: ready")
        else:
            lines.append(f"{backend['name']}: {backend['reason']}. To get it: {backend['get']}")
    lines.append(f"Install into the environment of {sys.executable}.")
    return lines


def main() -> int:
    """Say what is there; with a GPU also test and measure."""
    args = script.options(__doc__, json=Path(".cache/gpu-check.json"))
    facts = doctor.examine()
    print("\n".join(advice(facts)), flush=True)
    if not facts["gpus"]:
        return 3
    args.json.parent.mkdir(parents=True, exist_ok=True)
    bench = ["fmtool", "bench", "--against", "torch", "--out", str(args.json)]
    failed = []
    for name, command in (("tests", ["pytest", "-m", "gpu"]), ("benchmark", bench)):
        print(f"\n{name}: python -m {' '.join(command)}", flush=True)
        if subprocess.run([sys.executable, "-m", *command], check=False).returncode:
            failed.append(name)
    print(f"Failed: {', '.join(failed)}" if failed else f"All passed; figures in {args.json}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
