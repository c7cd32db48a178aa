"""A raw head to a prediction with the full-size encoder: fmtool against the reference chain.

One run, one machine, the same head: ANTs N4 as TurboPrep calls it, deepbet in torch,
antsRegistrationSyNQuick[r], and the encoder in torch eager float32, each once; then fmtool,
warm, the median of five; then the network alone and the peak memory of `fmtool predict`. Each
stage's seconds go to the standard error as soon as it is done: the whole takes minutes.

    python -m benchmarks.latency SCAN [--repeats 5] [--json FILE]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from benchmarks import full_size
from benchmarks.shared import script
from benchmarks.shared.peers import chain
from runtime.predict import Predictor, run_network

_PEAK = """
import runpy, sys
from benchmarks.bench.machine import peak_memory
sys.argv = ["fmtool", *sys.argv[1:]]
try:
    runpy.run_module("fmtool", run_name="__main__")
finally:
    print(f"peak {peak_memory()}", file=sys.stderr)
"""


def say(whose: str, stage: str, seconds: float) -> None:
    """A stage that is done."""
    print(f"{whose}: {stage} {seconds:.2f} s", file=sys.stderr, flush=True)


def reference(scan: Path, template: Path) -> dict[str, float]:
    """Seconds per stage of the reference chain, each run once."""
    image = nib.load(template)
    array = image.get_fdata(dtype=np.float32)
    ref = chain.run(nib.load(scan), array, image.affine, partial(say, "reference"))
    return dict(ref.timings)


def torch_network(prepared: Any, repeats: int) -> float:
    """Seconds of one eager float32 pass of the full-size encoder in torch, median after one."""
    import torch

    from training.encoders import masked_zscore

    model = full_size.encoder()
    volume = torch.from_numpy(np.asarray(prepared.volume, np.float32))[None, None]
    mask = torch.from_numpy(np.asarray(prepared.mask, np.float32))[None, None]
    with torch.inference_mode():
        times = [
            script.timed(lambda: model(masked_zscore(volume, mask)))[1] for _ in range(repeats + 1)
        ]
    return statistics.median(times[1:])


def peak_memory_gib(scan: Path, bundle: Path) -> float:
    """The peak resident memory of `fmtool predict` in a process of its own."""
    command = [sys.executable, "-c", _PEAK, "predict", str(scan), "--bundle", str(bundle), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stderr.rsplit("peak ", 1)[1]) / 2**30


def main() -> None:
    """Measure, print, and write JSON."""
    args = script.options(__doc__, "scan", repeats=5, json=Path)
    bundle = full_size.bundle(Path(".cache"))
    with Predictor(bundle) as predictor:
        runs = []
        for number in range(args.repeats + 1):
            runs.append(predictor.predict(args.scan))
            for stage, seconds in runs[-1].timings.items():
                say(f"fmtool, run {number}", stage, seconds)
        runs = runs[1:]  # the first warms up
        engine = predictor.engine
        prepared = runs[-1].prepared
        network = [
            script.timed(lambda: run_network(engine, prepared))[1] for _ in range(args.repeats)
        ]
        described = engine.describe()
    ours = {
        stage: statistics.median(run.timings[stage] for run in runs) for stage in runs[0].timings
    }
    theirs = reference(args.scan, bundle.template)
    theirs["network"] = torch_network(prepared, 2)
    say("reference", "network", theirs["network"])
    theirs["total"] = sum(theirs.values())
    summary = {
        "engine": described,
        "fmtool_seconds": ours,
        "reference_seconds": theirs,
        "ratio_total": theirs["total"] / ours["total"],
        "ratio_network": theirs["network"] / statistics.median(network),
        "peak_memory_gib": peak_memory_gib(args.scan, bundle.path),
    }
    script.tell(summary, args.json)


if __name__ == "__main__":
    main()
