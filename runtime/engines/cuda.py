"""Which NVIDIA GPUs the driver offers, asked of the driver itself: no toolkit, no framework."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterable

from fmtool.errors import CapabilityError, UsageError
from runtime.engines import cuda

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
    device = _ask("cuDeviceGet", number)
    major, minor = (_ask("cuDeviceGetAttribute", a, device) for a in (_MAJOR, _MINOR))
    return f"sm{major}{minor}"


def name(number: int = 0) -> str | None:
    """What GPU `number` is called, "NVIDIA L4"; None where there is no such GPU."""
    if missing(number):
        return None
    text = ctypes.create_string_buffer(256)
    device = _ask("cuDeviceGet", number)
    _check(ctypes.CDLL(_LIBRARY).cuDeviceGetName(text, len(text), device))
    return text.value.decode()


def driver() -> str | None:
    """The newest CUDA that the driver runs, "13.0": its version, as programs see it; or None."""
    if missing(0):
        return None
    version = _ask("cuDriverGetVersion")
    return f"{version // 1000}.{version % 1000 // 10}"


def _ask(question: str, *values: int) -> int:
    answer = ctypes.c_int()
    _check(getattr(ctypes.CDLL(_LIBRARY), question)(ctypes.byref(answer), *values))
    return answer.value


def _check(code: int) -> None:
    if code != 0:
        raise CapabilityError(f"the NVIDIA driver does not describe the GPU (it answered {code})")


def gpu(number: int) -> str | None:
    """Why GPU `number` cannot be used and what to do, or None if the driver offers it."""
    reason = cuda.missing(number)
    if reason is None or "no NVIDIA driver" not in reason:
        return reason
    return f"{reason.removesuffix(')')}; get NVIDIA's driver, on a machine with one of its GPUs)"


def together(lacks: Iterable[str | None]) -> str | None:
    """Everything that is missing as one sentence's end, or None."""
    return ", and ".join(filter(None, lacks)) or None
