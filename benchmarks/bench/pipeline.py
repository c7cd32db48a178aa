"""A scan's whole way, stage by stage, as `fmtool predict` takes it, to any system's outputs."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.bench.system import System
from fmtool import bundle as bundles
from runtime import scan
from runtime.preprocess.pipeline import Preprocessor

STAGES = ("read", "strip", "bias", "register", "resample", "check", "network", "total")
"""In order; a prepared scan is not stripped, corrected or registered again."""


class Pipeline:
    """A bundle's preprocessing before a system.

    Args:
        bundle: the bundle's folder.
        system: the network.
    """

    def __init__(self, bundle: str, system: System) -> None:
        self._preprocessor = Preprocessor(bundles.open(bundle)).__enter__()
        self._system = system

    def run(self, path: Path) -> dict[str, float]:
        """Seconds of each stage that the scan goes through."""
        start = time.perf_counter()
        head = scan.read(path)
        timings = {"read": time.perf_counter() - start}
        prepared = self._preprocessor.run(head)
        timings |= prepared.timings
        inputs = {"volume": prepared.volume[None, None], "mask": prepared.mask[None, None]}
        clock = time.perf_counter()
        self._system.run({name: array.astype("float32") for name, array in inputs.items()})
        timings["network"] = time.perf_counter() - clock
        timings["total"] = time.perf_counter() - start
        return timings
