"""How fast the device's memory is: a copy larger than any cache, by all threads, best of several.

Bytes read and bytes written both count, as STREAM has it.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fmtool.errors import CapabilityError
from runtime.system.machine import cores

BYTES = 256 << 20
_PASSES = 5


def measure(device: str, size: int = BYTES) -> float:
    """Bytes per second.

    Args:
        device: "cpu", or "cuda:N", where torch makes the copy.
        size: bytes of the array that is copied.

    Raises:
        CapabilityError: on a GPU without torch.
    """
    return _cpu(size) if device == "cpu" else _cuda(device, size)


def _cpu(size: int) -> float:
    threads = cores()
    source, target = np.ones(size // 8), np.zeros(size // 8)
    parts = list(zip(np.array_split(source, threads), np.array_split(target, threads), strict=True))
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(_PASSES):
            start = time.perf_counter()
            list(pool.map(lambda part: np.copyto(part[1], part[0]), parts))
            best = max(best, 2 * size / (time.perf_counter() - start))
    return best


def _cuda(device: str, size: int) -> float:
    try:
        import torch
    except ImportError:
        raise CapabilityError("a GPU's memory is measured with torch (`fmtool[train]`)") from None
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)
    best = 0.0
    for _ in range(_PASSES):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        target.copy_(source)
        end.record()
        torch.cuda.synchronize(device)
        best = max(best, 2 * size / (start.elapsed_time(end) / 1e3))
    return best
