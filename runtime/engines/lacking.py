"""What this machine lacks, said so that it can be got: the words that all engines share."""

from __future__ import annotations

from collections.abc import Iterable

from runtime.engines import cuda


def gpu(number: int) -> str | None:
    """Why GPU `number` cannot be used and what to do, or None if the driver offers it."""
    reason = cuda.missing(number)
    if reason is None or "no NVIDIA driver" not in reason:
        return reason
    return f"{reason.removesuffix(')')}; get NVIDIA's driver, on a machine with one of its GPUs)"


def together(lacks: Iterable[str | None]) -> str | None:
    """Everything that is missing as one sentence's end, or None."""
    return ", and ".join(filter(None, lacks)) or None
