"""Processor and wall seconds of each stage, in one process on one core, as an actor works.

python -m benchmarks.scale.stages SCAN BUNDLE REPEATS     prints JSON
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from runtime.system.machine import THREADS

STAGES = ("read", "strip", "bias", "register", "resample", "network")
_ONE = dict.fromkeys(THREADS, "1")


def measure(scan: Path, bundle: Path, repeats: int) -> dict[str, Any]:
    """The figures of a fresh process.

    Returns:
        "cpu" and "wall": seconds by stage, medians, "total" (of all stages) and "rest" (checks,
        heads, calibration) included; "start": seconds until the first scan can be answered, the
        self-test remembered; "peak" and "page" (of a report): bytes; "engine"; "result": one.
    """
    command = [sys.executable, "-m", "benchmarks.scale.stages"]
    command += [str(scan), str(bundle), str(repeats)]
    environment = {**os.environ, **_ONE}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def here(scan: Path, bundle: Path, repeats: int) -> dict[str, Any]:
    """The same in this process."""
    start = time.perf_counter()
    from benchmarks.bench.machine import peak_memory
    from runtime.predict import Predictor
    from runtime.report.publish import Publisher

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    runs: dict[str, list[dict[str, float]]] = {"wall": [], "cpu": []}
    with Predictor(bundle) as predictor:
        started = time.perf_counter() - start
        predictor.predict(scan)
        for _ in range(repeats):
            for name, clock in (("wall", time.perf_counter), ("cpu", time.process_time)):
                with timed_by(clock):
                    begun = clock()
                    result = predictor.predict(scan)
                    spent = clock() - begun
                runs[name].append({**result.timings, "total": spent})
        engine = predictor.engine.describe()
        peak = peak_memory()  # of an actor that draws nothing
        with tempfile.TemporaryDirectory() as folder:
            page = Publisher(Path(folder), predictor.template).write(result)
            page_bytes = sum(file.stat().st_size for file in page.parent.iterdir())
    return {
        **{name: _medians(found) for name, found in runs.items()},
        "start": started,
        "peak": peak,
        "engine": engine,
        "page": page_bytes,
        "result": result.to_dict(),
    }


@contextmanager
def timed_by(clock: Callable[[], float]) -> Iterator[None]:
    """Have the stages time themselves by another clock, such as the processor's."""
    from runtime import prepare
    from runtime.system import clock as stage_clock

    modules: tuple[Any, ...] = (prepare, stage_clock)
    before = [module.time for module in modules]
    for module in modules:
        module.time = SimpleNamespace(perf_counter=clock)
    try:
        yield
    finally:
        for module, real in zip(modules, before, strict=True):
            module.time = real


def _medians(runs: list[dict[str, float]]) -> dict[str, float]:
    found = {
        stage: statistics.median(run.get(stage, 0.0) for run in runs)
        for stage in (*STAGES, "total")
    }
    return found | {"rest": max(0.0, found["total"] - sum(found[stage] for stage in STAGES))}


if __name__ == "__main__":
    print(json.dumps(here(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))))
