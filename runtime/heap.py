"""What glibc's malloc keeps although nobody uses it, made little.

It gives each new thread one of up to eight arenas per core, and every arena keeps what its threads
have freed: under load the DICOM node's memory creeps up (`benchmarks.node_load` measures it). A
freed block stays in the process too wherever a block that is used lies above it: after a network
was compiled, that is the model that was read.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

_M_ARENA_MAX = -8  # malloc.h
_ARENAS = 2


def keep_few_arenas() -> bool:
    """Limit the arenas that are still to be made; whether the C library can.

    Source: mallopt(3), M_ARENA_MAX.
    """
    mallopt = _function("mallopt")
    return mallopt is not None and bool(mallopt(_M_ARENA_MAX, _ARENAS))


def give_back() -> bool:
    """Return free memory to the system; whether there was any, and the C library can.

    Source: malloc_trim(3).
    """
    malloc_trim = _function("malloc_trim")
    return malloc_trim is not None and bool(malloc_trim(ctypes.c_size_t(0)))


def _function(name: str) -> Any:
    """Of glibc; None elsewhere. musl has neither, nor has it arenas."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
