"""Which of the processor's instructions make a network faster, as the system lists them."""

from __future__ import annotations

from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_FLAGS = {
    "AVX2": ("avx2",),
    "AVX-512": ("avx512f",),
    "bfloat16": ("avx512_bf16", "amx_bf16"),
    "VNNI": ("avx512_vnni", "avx_vnni"),
    "AMX": ("amx_tile",),
}
"""By the name people use: the flags of which one will do."""


def instructions() -> dict[str, bool]:
    """By name, whether the processor has them; nothing where the system does not list them."""
    if not _CPUINFO.exists():
        return {}
    flags: set[str] = set()
    for line in _CPUINFO.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            flags = set(value.split())
            break
    return {name: not flags.isdisjoint(wanted) for name, wanted in _FLAGS.items()}
