"""One GPU's memory, stream and graphs, through `cuda-bindings`; every answer is checked."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import CapabilityError, EngineError

ENVIRONMENT = (
    "cudaErrorInsufficientDriver",
    "cudaErrorNoDevice",
    "cudaErrorInvalidDevice",
    "cudaErrorDevicesUnavailable",
    "cudaErrorMemoryAllocation",
)
"""What the machine is to blame for, and not the engine."""


def load() -> Any:
    """The CUDA runtime's bindings; they bring the runtime and need only a driver.

    Raises:
        CapabilityError: if they are not installed.
    """
    try:
        return importlib.import_module("cuda.bindings.runtime")
    except ImportError as error:
        raise CapabilityError(
            f"cuda-bindings cannot be used ({error}); `pip install 'fmtool[rtx]'` or "
            "`fmtool[tensorrt]` brings it"
        ) from None


def use(number: int) -> None:
    """Make GPU `number` the calling thread's; each thread has its own.

    Raises:
        CapabilityError: if there is no such GPU, or no driver.
    """
    _call(load(), number, "cudaSetDevice", number)


@dataclass(frozen=True)
class Graph:
    """Work for the GPU that was put together once: `launch` enqueues all of it."""

    launch: Callable[[], None]
    close: Callable[[], None]


class Gpu:
    """GPU `number`, made current, with a stream of its own; `close` frees all that it gave out.

    Raises:
        CapabilityError: if there is no such GPU, or no driver.
    """

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self._cuda = load()
        self._given = ExitStack()
        self.use()
        # Not the default stream, on which TensorRT would wait for the whole device at every call.
        (self._stream,) = self._call("cudaStreamCreateWithFlags", self._cuda.cudaStreamNonBlocking)
        self._given.callback(self._call, "cudaStreamDestroy", self._stream)

    @property
    def stream(self) -> int:
        """The stream's handle."""
        return int(self._stream)

    def use(self) -> None:
        """Make this the calling thread's GPU."""
        use(self.number)

    def allocate(self, size: int) -> int:
        """The address of `size` bytes of the GPU's memory."""
        (address,) = self._call("cudaMalloc", size)
        self._given.callback(self._call, "cudaFree", address)
        return int(address)

    def pinned(self, size: int) -> NDArray[np.uint8]:
        """`size` bytes of the host's memory that the GPU copies from and to without a detour.

        The array is void after `close`.
        """
        (address,) = self._call("cudaMallocHost", size)
        self._given.callback(self._call, "cudaFreeHost", address)
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(int(address)))

    def upload(self, address: int, host: NDArray[Any], size: int) -> None:
        """Enqueue a copy of `size` bytes of `host`, which is pinned, to the GPU."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", address, host.ctypes.data, size, kind, self._stream)

    def download(self, host: NDArray[Any], address: int, size: int) -> None:
        """Enqueue a copy of `size` bytes from the GPU to `host`, which is pinned."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", host.ctypes.data, address, size, kind, self._stream)

    def wait(self) -> None:
        """Until all that was enqueued is done; an error of any of it is raised here."""
        self._call("cudaStreamSynchronize", self._stream)

    def capture(self, enqueue: Callable[[], None]) -> Graph:
        """A graph of what `enqueue` puts on the stream; what it uses must outlive it.

        Raises:
            EngineError: if something in it cannot be captured; the stream is as before.
        """
        mode = self._cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", self._stream, mode)
        try:
            enqueue()
        except BaseException:
            self._cuda.cudaStreamEndCapture(self._stream)  # the first error is the one to tell
            raise
        (graph,) = self._call("cudaStreamEndCapture", self._stream)
        try:
            (ready,) = self._call("cudaGraphInstantiate", graph, 0)
        finally:
            self._call("cudaGraphDestroy", graph)
        return Graph(
            partial(self._do, "cudaGraphLaunch", ready, self._stream),
            partial(self._do, "cudaGraphExecDestroy", ready),
        )

    def close(self) -> None:
        """Free everything, last things first; a second call does nothing."""
        self._given.close()

    def _do(self, name: str, *values: Any) -> None:
        self._call(name, *values)

    def _call(self, name: str, *values: Any) -> tuple[Any, ...]:
        return _call(self._cuda, self.number, name, *values)


def _call(runtime: Any, number: int, name: str, *values: Any) -> tuple[Any, ...]:
    """What a function of the CUDA runtime gives beside its answer, which must be success."""
    code, *results = getattr(runtime, name)(*values)
    if code != runtime.cudaError_t.cudaSuccess:
        _, described = runtime.cudaGetErrorString(code)
        kind = CapabilityError if code.name in ENVIRONMENT else EngineError
        raise kind(f"{name} answered {code.name} ({described.decode()}) on cuda:{number}")
    return tuple(results)
