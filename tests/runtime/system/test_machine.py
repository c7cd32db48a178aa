"""Instructions, from what Linux lists."""

from __future__ import annotations

import pytest

from runtime.system import machine


@pytest.mark.parametrize(
    ("flags", "there"),
    [
        ("fpu avx2 avx512f avx512_vnni avx512_bf16", {"AVX2", "AVX-512", "VNNI", "bfloat16"}),
        ("fpu avx2 avx_vnni", {"AVX2", "VNNI"}),
        ("avx2 avx512f amx_tile amx_bf16", {"AVX2", "AVX-512", "AMX", "bfloat16"}),
        ("fpu sse2", set()),
    ],
)
def test_flags(tmp_path, monkeypatch, flags, there):
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nmodel name\t: X\nflags\t\t: {flags}\n\nprocessor : 1\n")
    monkeypatch.setattr(machine, "_CPUINFO", file)
    found = machine.instructions()
    assert {name for name, has in found.items() if has} == there
    assert set(found) == {"AVX2", "AVX-512", "bfloat16", "VNNI", "AMX"}


def test_another_system_lists_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "absent")
    assert machine.instructions() == {}
