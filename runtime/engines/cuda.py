"""Which NVIDIA GPUs the driver offers, asked of the driver itself: no toolkit, no framework."""

from __future__ import annotations

import ctypes
import re
import sys

from fmtool.errors import CapabilityError, UsageError

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def index(device: str) -> int:
    """The GPU's number: 0 of "cuda", N of "cuda:N".

    Raises:
        UsageError: for anything else.
    """
    match = re.fullmatch(r"cuda(?::(\d+))?", device)
    if not match:
        raise UsageError(f"unknown device {device!r}; there are auto, cpu, cuda and cuda:N")
    return int(match[1] or 0)


def missing(number: int = 0) -> str | None:
    """Why GPU `number` cannot be used, as the end of a sentence; None if the driver offers it."""
    try:
        driver = ctypes.CDLL(_LIBRARY)
    except OSError:
        return f"no NVIDIA driver is installed ({_LIBRARY} cannot be loaded)"
    code = driver.cuInit(0)
    if code != 0:
        return f"the NVIDIA driver finds no GPU (cuInit answered {code})"
    count = ctypes.c_int()
    code = driver.cuDeviceGetCount(ctypes.byref(count))
    if code != 0 or count.value <= number:
        return f"the NVIDIA driver offers {count.value} GPU(s), and no number {number}"
    return None


def architecture(number: int = 0) -> str | None:
    """The compute capability of GPU `number` as "sm89"; None where there is no such GPU."""
    if missing(number):
        return None
    driver = ctypes.CDLL(_LIBRARY)
    found = []
    for attribute in (_MAJOR, _MINOR):
        value = ctypes.c_int()
        code = driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, number)
        if code != 0:
            raise CapabilityError(f"the NVIDIA driver does not describe GPU {number} ({code})")
        found.append(value.value)
    return f"sm{found[0]}{found[1]}"
