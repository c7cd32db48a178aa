"""The machine: its processor, and how much of it and of the memory this process may use."""

from __future__ import annotations

import math
import os
import platform
import re
import sys
from pathlib import Path

from fmtool.errors import CapabilityError, UsageError
from runtime.system import cgroups, scheduling

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What numerical libraries read when they are loaded; the others follow the first."""

_CPUINFO = Path("/proc/cpuinfo")
_MEMINFO = Path("/proc/meminfo")
_FLAGS: dict[str, dict[str, tuple[str, ...]]] = {
    "flags": {  # x86
        "AVX2": ("avx2",),
        "AVX-512": ("avx512f",),
        "bfloat16": ("avx512_bf16", "amx_bf16"),
        "VNNI": ("avx512_vnni", "avx_vnni"),
        "AMX": ("amx_tile",),
    },
    "Features": {  # ARM
        "NEON": ("asimd",),
        "SVE": ("sve",),
        "bfloat16": ("bf16",),
        "i8mm": ("i8mm",),
    },
}
"""By Linux's word for a processor's flags, and by the name people use: those of which one will do.

Source: Linux, Documentation/arch/arm64/elf_hwcaps.rst, and arch/x86/include/asm/cpufeatures.h.
"""

_FLOOR = {
    "SSSE3": "ssse3",
    "SSE4.1": "sse4_1",
    "SSE4.2": "sse4_2",
    "POPCNT": "popcnt",
    "CMPXCHG16B": "cx16",
    "LAHF-SAHF": "lahf_lm",
}
"""What x86-64's second level adds to its first, by Linux's word for it.

Source: x86-64 psABI, table 3.1. NumPy's wheels since 2.4 and OpenVINO's die without it of an
illegal instruction, which nobody can catch.
"""


def require() -> None:
    """Refuse a processor that the libraries would die on, before any of them is loaded.

    Raises:
        CapabilityError: naming what it lacks.
    """
    there = set(_fact("flags").split())
    if there and (lacking := [name for name, flag in _FLOOR.items() if flag not in there]):
        raise CapabilityError(
            f"this processor ({cpu_name()}) has no {', '.join(lacking)}, without which NumPy and "
            "OpenVINO die of an illegal instruction; take one of the x86-64-v2 level (Intel's and "
            "AMD's since 2011), or, in a virtual machine, pass the host's processor through"
        )


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    return _fact("model name") or platform.processor() or platform.machine()


def instructions() -> dict[str, bool]:
    """By name, whether the processor has them; nothing where the system does not list them."""
    for word, names in _FLAGS.items():
        if flags := set(_fact(word).split()):
            return {name: not flags.isdisjoint(wanted) for name, wanted in names.items()}
    return {}


def cores() -> int:
    """How many cores this process may keep busy; whatever counts cores asks here.

    The least of those that it is bound to (taskset, cpusets), its control groups' quota, and what
    OMP_NUM_THREADS says; `confine` sets that for the processes that are started from here on. Part
    of a core counts as one: an idle part would be lost.
    """
    said = os.environ.get(THREADS[0], "").split(",")[0].strip()  # a list: by nesting
    asked = int(said) if said.isascii() and said.isdigit() else 0
    return min(asked or sys.maxsize, _allowed())


def confine(threads: int | None = None) -> None:
    """Have libraries that are yet to be loaded, and all children, keep to the limits of `cores`.

    Numerical libraries count the cores of the machine and know of no quota.

    Args:
        threads: take so many instead of what OMP_NUM_THREADS says.

    Raises:
        UsageError: if there are fewer.
    """
    there = _allowed()
    if threads is not None and threads > there:
        raise UsageError(f"{threads} threads: this process may use {there} at most; ask for fewer")
    if threads is not None or cores() < bound():
        names = THREADS if threads else THREADS[:1]
        os.environ.update(dict.fromkeys(names, str(threads or cores())))


def memory() -> int | None:
    """Bytes of the machine, or of the container or job where that has less.

    None where the system does not say.
    """
    if not hasattr(os, "sysconf"):
        return None
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([whole, *cgroups.memory()])


def free_memory() -> int | None:
    """Bytes that a process may still take without swapping; None where the system does not say."""
    if not _MEMINFO.exists():
        return None
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _MEMINFO.read_text("ascii"), re.MULTILINE)
    return min([int(found[1]) << 10, *cgroups.free_memory()]) if found else None


def _allowed() -> int:
    return max(1, math.ceil(min([bound(), *cgroups.quotas()])))


def bound() -> int:
    """The cores that this process is bound to, whatever part of their time it may have."""
    return len(scheduling.there()) or os.cpu_count() or 1


def _fact(name: str) -> str:
    """The first processor's value of that name; empty where the system does not tell."""
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    return ""
