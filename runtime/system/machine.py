"""What the system tells of its processor: its name, and the instructions that speed networks up."""

from __future__ import annotations

import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_FLAGS = {
    "AVX2": ("avx2",),
    "AVX-512": ("avx512f",),
    "bfloat16": ("avx512_bf16", "amx_bf16", "bf16"),
    "VNNI": ("avx512_vnni", "avx_vnni"),
    "AMX": ("amx_tile",),
}
"""By the name people use: the flags of which one will do."""


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    return _fact("model name") or platform.processor() or platform.machine()


def instructions() -> dict[str, bool]:
    """By name, whether the processor has them; nothing where the system does not list them."""
    if not _CPUINFO.exists():
        return {}
    flags = set((_fact("flags") or _fact("Features")).split())  # x86, or ARM
    return {name: not flags.isdisjoint(wanted) for name, wanted in _FLAGS.items()}


def _fact(name: str) -> str:
    """The first processor's value of that name; empty where the system does not tell."""
    if _CPUINFO.exists():
        for line in _CPUINFO.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    return ""
