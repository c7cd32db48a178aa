"""What the device can compute at most: a large matrix product and a large convolution.

Both are ONNX graphs run by the very engine, precision and threads that are judged: a vector goes
in, is added to a large constant, multiplied several times, and averaged to a vector again, so that
nothing but multiplications takes time, wherever the device's memory is.

And how fast that memory is: a copy larger than any cache, by all threads, best of several. Bytes
read and bytes written both count, as STREAM has it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from fmtool.errors import CapabilityError
from runtime.engines.choose import Choice, open_engine
from runtime.system.machine import cores

CHAIN = 4
"""Multiplications in a row, so that what is around them weighs little."""

CHANNELS = 256
_SIDES = (10, 12, 16, 24, 32, 64)
_ROWS = (512, 1024, 2048, 4096, 8192)
_PASSES = 3
_LONG = 0.2  # seconds of passes, for processor time is counted in steps of milliseconds


@dataclass(frozen=True)
class Probe:
    """An operation of known cost.

    Attributes:
        name: such as "matrix product 2048".
        flop: operations of one `run`.
        run: computes it and returns when it is done.
        close: releases what it holds.
    """

    name: str
    flop: float
    run: Callable[[], Any]
    close: Callable[[], None]


Make = Callable[[str, int], Probe]
"""A probe of a kind and a size, from a system."""

KINDS = {"matrix product": _ROWS, "convolution": _SIDES}


def flop(kind: str, size: int) -> float:
    """Operations of a probe of `size` rows and columns, or voxels per side.

    The convolutions are not padded, and shrink: libraries leave out the multiplications by a
    padding's zeros, and would seem faster than they are.
    """
    if kind == "convolution":
        return 2.0 * 27 * CHANNELS**2 * sum((size - 2 * i) ** 3 for i in range(1, CHAIN + 1))
    return 2.0 * CHAIN * size**3


class Ceiling:
    """The fastest that any probe has run so far; the sizes that this device needs are kept open.

    Attributes:
        best: operations per second.
        name: of the probe that reached it.
        best_by_processor: the most operations per processor second, over all cores.

    Args:
        make: opens a probe.
        seconds: a single pass should take this long: as large a probe as does, and no larger.
    """

    def __init__(self, make: Make, seconds: float) -> None:
        self.best = 0.0
        self.name = ""
        self.best_by_processor = 0.0
        self._kept = [self._grow(make, kind, sizes, seconds) for kind, sizes in KINDS.items()]

    def _grow(self, make: Make, kind: str, sizes: tuple[int, ...], seconds: float) -> Probe:
        probe = make(kind, sizes[0])
        for size in sizes[1:]:
            if min(self._pass(probe) for _ in range(_PASSES)) >= seconds:
                break
            probe.close()
            probe = make(kind, size)
        return probe

    def _pass(self, probe: Probe) -> float:
        start = time.perf_counter()
        probe.run()
        took = time.perf_counter() - start
        if probe.flop / took > self.best:
            self.best, self.name = probe.flop / took, probe.name
        return took

    def measure(self) -> None:
        """Run every probe that is kept some times more."""
        for probe in self._kept:
            passes, wall, used = 0, 0.0, time.process_time()
            while passes < _PASSES or wall < _LONG:
                wall += self._pass(probe)
                passes += 1
            used = max(time.process_time() - used, 1e-9)  # a GPU's are next to none
            self.best_by_processor = max(self.best_by_processor, passes * probe.flop / used)


def of_engine(choice: Choice) -> Make:
    """Probes in an engine of that library, device and precision.

    Raises:
        CapabilityError: if onnx, which writes the graphs, is not installed.
    """
    if find_spec("onnx") is None:
        raise CapabilityError(
            "the device's peak is measured with graphs that onnx writes, which is not installed "
            "(`fmtool[train]`)"
        )
    from benchmarks.bench import probe_graph

    def make(kind: str, size: int) -> Probe:
        with tempfile.TemporaryDirectory(prefix="fmtool-bench-") as folder:
            path = Path(folder) / "model.onnx"
            shape = probe_graph.write(path, kind, size, CHANNELS, CHAIN, choice.precision)
            opened = open_engine(path, choice)
            opened.run({"vector": np.ones(shape, np.float32)})
        inputs = {"vector": np.ones(shape, np.float32)}
        return Probe(f"{kind} {size}", flop(kind, size), lambda: opened.run(inputs), opened.close)

    return make


def of_torch(precision: str, device: str) -> Make:
    """Probes in `precision` on "cpu" or "cuda:N", channels last; float32 is without TF32.

    Raises:
        CapabilityError: for a precision that torch does not multiply in.
    """
    import torch
    from torch.nn import functional

    if precision not in ("float32", "bfloat16", "float16"):
        raise CapabilityError(
            f"torch has no matrix product in {precision} to measure the peak with"
        )
    torch.backends.cudnn.allow_tf32 = False

    def opened(kind: str, size: int) -> Probe:
        place: dict[str, Any] = {"dtype": getattr(torch, precision), "device": device}
        if kind == "convolution":
            weight = torch.randn(CHANNELS, CHANNELS, 3, 3, 3, **place)
            x = torch.randn(1, CHANNELS, size, size, size, **place)
            weight, x = (t.to(memory_format=torch.channels_last_3d) for t in (weight, x))
        else:
            weight, x = (torch.randn(size, size, **place) for _ in range(2))

        def run() -> None:
            multiply = functional.conv3d if kind == "convolution" else functional.linear
            with torch.inference_mode():
                y: torch.Tensor = x
                for _ in range(CHAIN):
                    y = multiply(y, weight)
                y.flatten()[0].item()  # waits for a GPU

        return Probe(f"{kind} {size}", flop(kind, size), run, lambda: None)

    return opened


BYTES = 256 << 20
_COPIES = 5


def bandwidth(device: str, size: int = BYTES) -> float:
    """Bytes per second.

    Args:
        device: "cpu", or "cuda:N", where torch makes the copy.
        size: bytes of the array that is copied.

    Raises:
        CapabilityError: on a GPU without torch.
    """
    return _copied_by_cpu(size) if device == "cpu" else _copied_by_cuda(device, size)


def _copied_by_cpu(size: int) -> float:
    threads = cores()
    source, target = np.ones(size // 8), np.zeros(size // 8)
    parts = list(zip(np.array_split(source, threads), np.array_split(target, threads), strict=True))
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(_COPIES):
            start = time.perf_counter()
            list(pool.map(lambda part: np.copyto(part[1], part[0]), parts))
            best = max(best, 2 * size / (time.perf_counter() - start))
    return best


def _copied_by_cuda(device: str, size: int) -> float:
    try:
        import torch
    except ImportError:
        raise CapabilityError("a GPU's memory is measured with torch (`fmtool[train]`)") from None
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)
    best = 0.0
    for _ in range(_COPIES):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        target.copy_(source)
        end.record()
        torch.cuda.synchronize(device)
        best = max(best, 2 * size / (start.elapsed_time(end) / 1e3))
    return best
