"""However many threads allocate, there are two arenas; what is free is not kept."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ARENAS = """
import ctypes, sys, threading
from runtime.system.heap import keep_few_arenas
if sys.argv[1] == "few":
    assert keep_few_arenas()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
together = threading.Barrier(12)
def work():
    together.wait()
    libc.malloc(ctypes.c_size_t(1000))
    together.wait()
threads = [threading.Thread(target=work) for _ in range(12)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""

HOLES = """
from runtime.system.heap import give_back

def resident():
    lines = open("/proc/self/status", encoding="ascii").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

blocks = [bytes(20_000) for _ in range(5_000)]  # 100 MB, in the heap: smaller than what is mapped
last = blocks.pop()
del blocks
before = resident()
assert give_back()
print(before - resident())
"""

FREED = """
import ctypes, sys
from contextlib import nullcontext
from runtime.system.heap import mapping

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
size = ctypes.c_size_t(4 << 20)

def block():
    address = ctypes.c_void_p(libc.malloc(size))
    ctypes.memset(address, 1, size.value)
    return address

def resident():
    lines = open("/proc/self/status", encoding="ascii").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

libc.free(block())  # from now on glibc takes blocks of this size from the heap
with mapping() if sys.argv[1] == "mapping" else nullcontext():
    blocks = [block() for _ in range(20)]
before = resident()
[libc.free(each) for each in blocks[:-1]]
print(before - resident())
"""

on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")


@on_glibc
@pytest.mark.parametrize("which", ["few", "many"])
def test_arenas(which: str) -> None:
    arenas = run(ARENAS, which).count("<heap nr=")
    assert (arenas <= 2) == (which == "few"), arenas


@on_glibc
def test_holes_go_back_to_the_system() -> None:
    assert int(run(HOLES)) > 50_000  # KiB


def run(program: str, *words: str) -> str:
    """What a process of its own prints."""
    command = [sys.executable, "-c", program, *words]
    root = Path(__file__).parents[3]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


@on_glibc
@pytest.mark.parametrize("which", ["mapping", "as it is"])
def test_what_was_mapped_goes_back_when_it_is_freed(which: str) -> None:
    assert (int(run(FREED, which)) > 70_000) == (which == "mapping")  # KiB
