"""A heap that stays small although every association is a thread of its own.

glibc gives each new thread one of up to eight arenas per core, and every arena keeps what its
threads have freed: under load the node's memory creeps up (`benchmarks.node_load` measures it).
"""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8  # malloc.h
_ARENAS = 2


def keep_few_arenas() -> bool:
    """Limit the arenas that are still to be made; whether the C library can.

    Source: mallopt(3), M_ARENA_MAX.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, nor has it arenas
    return mallopt is not None and bool(mallopt(_M_ARENA_MAX, _ARENAS))
