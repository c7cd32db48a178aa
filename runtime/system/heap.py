"""What glibc's malloc keeps although nobody uses it, made little.

It gives each new thread one of up to eight arenas per core, and every arena keeps what its threads
have freed: under load the DICOM node's memory creeps up (`benchmarks.node_load` measures it). A
freed block stays in the process too wherever a block that is used lies above it: after a network
was compiled, that is the model that was read. Blocks that it maps, each by itself, go back at once;
but the size from which on it maps them grows with the blocks that were freed.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h
_ARENAS = 2
_MAPPED = 1 << 20
_GROWN = 32 << 20  # glibc's own limit


def keep_few_arenas() -> bool:
    """Limit the arenas that are still to be made; whether the C library can.

    Source: mallopt(3), M_ARENA_MAX.
    """
    mallopt = _function("mallopt")
    return mallopt is not None and bool(mallopt(_M_ARENA_MAX, _ARENAS))


@contextmanager
def mapping() -> Iterator[bool]:
    """Have blocks of 1 MiB or more mapped while this is open; whether the C library can.

    Afterwards the size is the largest that glibc's would have grown to, and stays there: what maps
    large arrays anew all the time is slower.

    Source: mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD.
    """
    mallopt = _function("mallopt")
    if mallopt is None:
        yield False
        return
    try:
        yield bool(mallopt(_M_MMAP_THRESHOLD, _MAPPED))
    finally:
        mallopt(_M_MMAP_THRESHOLD, _GROWN)
        mallopt(_M_TRIM_THRESHOLD, 2 * _GROWN)


def give_back() -> bool:
    """Return free memory to the system; whether there was any, and the C library can.

    Source: malloc_trim(3).
    """
    malloc_trim = _function("malloc_trim")
    return malloc_trim is not None and bool(malloc_trim(ctypes.c_size_t(0)))


def _function(name: str) -> Any:
    """Of glibc; None elsewhere. musl has neither, nor has it arenas."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
