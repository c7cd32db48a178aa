"""OpenVINO's `Core`: one for the whole process, which keeps it to its end.

OpenVINO 2026.4 gives the thread that first uses a `Core`'s CPU plugin another stack for its signal
handlers, and unmaps that stack with the plugin. Where another thread drops the last reference, as
Python's garbage collector may in any thread, the first one keeps the address: its next signal, a
SIGTERM for example, is a segmentation fault.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

from fmtool.errors import CapabilityError
from runtime.system.machine import bound, cores

_LOCK = threading.Lock()


def load() -> Any:
    """The OpenVINO module.

    Raises:
        CapabilityError: if it is not installed or cannot be loaded.
    """
    try:
        import openvino
    except ImportError as error:
        raise CapabilityError(
            f"OpenVINO cannot be used ({error}); install it with `pip install 'fmtool[cpu]'`"
        ) from None
    return openvino


def core() -> Any:
    """The process's `openvino.Core`; whoever needs one takes this one.

    Raises:
        CapabilityError: see `load`.
    """
    with _LOCK:
        return _core()


@cache
def _core() -> Any:
    made = load().Core()
    made.set_property({"ENABLE_MMAP": True})
    return made


def compile_for_cpu(network: Any, settings: dict[str, str]) -> Any:
    """The `CompiledModel` of a network or a file for the CPU, on the cores there are.

    Raises:
        RuntimeError: what OpenVINO says of it.
    """
    # A number has OpenVINO give up its pinning, which is faster where all cores are this process's.
    limit = {"INFERENCE_NUM_THREADS": cores()} if cores() < bound() else {}
    return core().compile_model(network, "CPU", {**settings, **limit})


def precisions() -> tuple[str, ...]:
    """What the CPU computes in: "float32", "int8", and "bfloat16" where it has the instructions.

    OpenVINO would emulate bfloat16 elsewhere, which is slower and no more exact than float32.
    """
    abilities = core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("float32", "bfloat16", "int8") if "BF16" in abilities else ("float32", "int8")
