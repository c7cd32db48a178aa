"""However many threads allocate, there are two arenas."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import ctypes, sys, threading
from runtime.node.heap import keep_few_arenas
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
@pytest.mark.parametrize("which", ["few", "many"])
def test_arenas(which: str) -> None:
    command = [sys.executable, "-c", PROGRAM, which]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    arenas = done.stdout.count("<heap nr=")
    assert (arenas <= 2) == (which == "few"), arenas
