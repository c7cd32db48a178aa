"""The process of one candidate: opens it, then answers one JSON line with another until the end.

    python -m benchmarks.bench.worker SPEC

SPEC is JSON: "kind" ("engine", "torch" or "plain_openvino") and what that kind needs, "volumes" (a
file by `benchmarks.bench.inputs`), "answers" (an open file's number) and "started" (the parent's
clock). The first answer is the cold start.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bench import inputs, machine, probe, timing
from benchmarks.bench.probe import Ceiling
from benchmarks.bench.system import Laps, System
from fmtool.errors import CapabilityError, FmtoolError
from runtime.system.machine import free_memory


def open_system(spec: dict[str, Any], laps: Laps) -> System:
    """What the specification names."""
    if spec["kind"] == "torch":
        from benchmarks.bench.torch_system import TorchSystem

        return TorchSystem(spec, laps)
    if spec["kind"] == "plain_openvino":
        from benchmarks.bench.plain_openvino_system import PlainOpenVINOSystem

        return PlainOpenVINOSystem(spec, laps)
    from benchmarks.bench.engine_system import EngineSystem

    return EngineSystem(spec, laps)


class Measurements:
    """The commands, by name; each answers with plain data."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec
        laps = Laps(spec["started"])
        laps.lap("interpreter")
        self._volumes = inputs.load(Path(spec["volumes"]))
        first = inputs.batch(self._volumes, 1, 0)
        laps.lap("volumes")  # the benchmark's own, and no part of a cold start
        self._held = machine.resident_memory()
        self.system = open_system(spec, laps)
        self.system.run(first)
        laps.lap("first")
        self.cold = {name: took for name, took in laps.seconds.items() if name != "volumes"}
        self._expected: dict[int, float] = {}
        self._meter = machine.meter(self.system.device)
        self._ceiling: Ceiling | None = None
        self._pipeline: Any = None

    def opened(self) -> dict[str, Any]:
        """What it is and what its start took."""
        return {
            "facts": self.system.facts,
            "cold": self.cold,
            "no_energy": None if self._meter.read else self._meter.reason,
        }

    def block(self, batch: int, seconds: float, count: int) -> dict[str, Any]:
        """A timed block of inferences; the first of a batch size is preceded by one untimed."""
        ready = [inputs.batch(self._volumes, batch, i) for i in range(self._distinct())]

        def infer(i: int) -> None:
            self.system.run(ready[i % len(ready)])

        if batch not in self._expected:
            self._check_memory(batch)
            self._expected[batch] = self._first(infer, batch)
        found = timing.block(
            infer, seconds, count, self._expected[batch], self._meter, self.system.split
        )
        self._expected[batch] = float(np.median(found.latencies))
        return asdict(found)

    def _first(self, infer: Callable[[int], None], batch: int) -> float:
        """Its seconds. What a library raises at a larger batch is a reason; at one, a defect."""
        start = time.perf_counter()
        try:
            infer(0)
        except Exception as error:
            if batch == 1 or isinstance(error, FmtoolError):
                raise
            why = str(error).strip().splitlines() or [type(error).__name__]
            raise CapabilityError(f"a batch of {batch} does not run: {why[0]}") from error
        return time.perf_counter() - start

    def memory(self) -> dict[str, int] | None:
        """Bytes at the peak so far, and those of them that the system added; None if not told."""
        peak = machine.peak_memory()
        if peak is None or self._held is None:
            return None
        return {"peak": peak, "added": peak - self._held}

    def outputs(self, path: str) -> None:
        """Write the outputs for each volume, one at a time, without the maps."""
        rows = [self.system.run(inputs.batch(self._volumes, 1, i)) for i in range(self._distinct())]
        small = {name for name, array in rows[0].items() if array.ndim == 2}
        inputs.save(Path(path), {n: np.concatenate([row[n] for row in rows]) for n in small})

    def peak(self, seconds: float) -> dict[str, Any]:
        """The device's peak in operations per second: the best of all calls."""
        if self._ceiling is None:
            self._ceiling = Ceiling(self.system.probes(), seconds)
        self._ceiling.measure()
        return {
            "flop_per_second": self._ceiling.best,
            "probe": self._ceiling.name,
            "flop_per_processor_second": self._ceiling.best_by_processor,
        }

    def bandwidth(self) -> float:
        """Of the device's memory, in bytes per second."""
        return probe.bandwidth(self.system.device)

    def self_test(self) -> str | None:
        """Why the bundle's self-test refuses it, or None; "" where there is none to pass."""
        return self.system.self_test()

    def stages(self, scan: str) -> dict[str, float]:
        """Seconds per stage of a scan's whole way; the first call warms up with another."""
        if self._pipeline is None:
            from benchmarks.bench.pipeline import Pipeline  # not before: the start is measured

            self._pipeline = Pipeline(self._spec["bundle"], self.system)
            self._pipeline.run(Path(scan))
        return self._pipeline.run(Path(scan))

    def _distinct(self) -> int:
        return len(self._volumes["volume"])

    def _check_memory(self, batch: int) -> None:
        """A batch needs at most as many times what a single volume took; less is not dared."""
        if batch == 1:  # it has just run
            return
        peak, held, free = machine.peak_memory(), machine.resident_memory(), free_memory()
        if peak is None or held is None or free is None or batch * peak <= free + held:
            return
        raise CapabilityError(
            f"a batch of {batch} may need {batch * peak / 2**30:.1f} GiB and "
            f"{(free + held) / 2**30:.1f} are free"
        )


def main() -> None:
    """Answer until standard input ends."""
    spec = json.loads(sys.argv[1])
    answers = os.fdopen(spec["answers"], "w", encoding="utf-8")

    def answer(make: Any, *args: Any, **details: Any) -> Any:
        try:
            made = make(*args, **details)
        except FmtoolError as error:
            line = {"error": type(error).__name__, "sentence": str(error)}
            print(json.dumps(line), file=answers, flush=True)
            return None
        found = made.opened() if isinstance(made, Measurements) else made
        print(json.dumps({"ok": found}), file=answers, flush=True)
        return made

    measurements = answer(Measurements, spec)
    if measurements is None:
        return
    for line in sys.stdin:
        command = json.loads(line)
        answer(getattr(measurements, command.pop("do")), **command)
    measurements.system.close()


if __name__ == "__main__":
    main()
