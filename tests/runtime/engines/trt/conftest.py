"""Stand-ins of the CUDA runtime and of TensorRT's runtime that behave as documented.

What is put on the stream happens when the stream is waited for and not before; what is captured
happens when its graph is launched. Memory is real, so that copies and results are.
"""

from __future__ import annotations

import ctypes
import enum
import sys
import weakref
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from runtime.engines import cuda as driver_facts

CUBE = (1, 2, 2, 2)


class Error(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorInvalidDevice = 101
    cudaErrorIllegalAddress = 700
    cudaErrorStreamCaptureInvalidated = 901


class Cuda(ModuleType):
    """`cuda.bindings.runtime` with one GPU; `diary` is what it was asked, in order."""

    cudaError_t = Error
    cudaStreamNonBlocking = 1
    cudaMemcpyKind = enum.Enum(
        "cudaMemcpyKind", ["cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost"]
    )
    cudaStreamCaptureMode = enum.Enum("cudaStreamCaptureMode", ["cudaStreamCaptureModeThreadLocal"])
    STREAM = 77

    def __init__(self):
        super().__init__("cuda.bindings.runtime")
        self.diary = []
        self.fails = {}
        self.memory = {}
        self.queue = []
        self.captured = None
        self.graphs = 0

    def _answer(self, name, *results):
        self.diary.append(name)
        code = self.fails.get(name, Error.cudaSuccess)
        return (code, *(results if code == 0 else [None] * len(results)))

    def _new(self, name, size):
        if name in self.fails:
            return self._answer(name, None)
        block = ctypes.create_string_buffer(b"\xff" * size, size)  # NaN, until it is written to
        self.memory[ctypes.addressof(block)] = block
        return self._answer(name, ctypes.addressof(block))

    def _gone(self, name, address):
        del self.memory[address]  # a second time is a KeyError
        return self._answer(name)

    def put(self, work):
        (self.queue if self.captured is None else self.captured).append(work)

    def cudaGetErrorString(self, code):
        return Error.cudaSuccess, f"told of {int(code)}".encode()

    def cudaSetDevice(self, number):
        (code,) = self._answer("cudaSetDevice")
        return (code if number == 0 else Error.cudaErrorInvalidDevice,)

    def cudaStreamCreateWithFlags(self, flags):
        assert flags == self.cudaStreamNonBlocking
        return self._answer("cudaStreamCreateWithFlags", self.STREAM)

    def cudaStreamDestroy(self, stream):
        return self._answer("cudaStreamDestroy")

    def cudaMalloc(self, size):
        return self._new("cudaMalloc", size)

    def cudaFree(self, address):
        return self._gone("cudaFree", address)

    def cudaMallocHost(self, size):
        return self._new("cudaMallocHost", size)

    def cudaFreeHost(self, address):
        return self._gone("cudaFreeHost", address)

    def cudaMemcpyAsync(self, to, source, size, kind, stream):
        assert stream == self.STREAM
        ends = [to, source] if kind.name.endswith("HostToDevice") else [source, to]
        assert ends[0] in self.memory  # on the GPU; the host's may be within its block
        self.put(lambda: ctypes.memmove(to, source, size))
        return self._answer("cudaMemcpyAsync")

    def cudaStreamSynchronize(self, stream):
        assert self.captured is None
        work, self.queue = self.queue, []
        for step in work:
            step()
        return self._answer("cudaStreamSynchronize")

    def cudaStreamBeginCapture(self, stream, mode):
        self.captured = []
        return self._answer("cudaStreamBeginCapture")

    def cudaStreamEndCapture(self, stream):
        graph, self.captured = self.captured, None
        return self._answer("cudaStreamEndCapture", graph)

    def cudaGraphInstantiate(self, graph, flags):
        self.graphs += 1
        return self._answer("cudaGraphInstantiate", list(graph))

    def cudaGraphDestroy(self, graph):
        return self._answer("cudaGraphDestroy")

    def cudaGraphExecDestroy(self, ready):
        self.graphs -= 1
        ready.clear()  # of the references to what it used, which a real graph has not
        return self._answer("cudaGraphExecDestroy")

    def cudaGraphLaunch(self, ready, stream):
        for step in ready:
            self.put(step)
        return self._answer("cudaGraphLaunch")


class Library:
    """TensorRT's runtime, which loads one engine: embedding = (sum, maximum) of volume x mask."""

    def __init__(self, cuda, module):
        self.cuda, self.module = cuda, module
        self.batches = (1, 1, 1)
        self.loads = self.prepares = self.runs = True
        self.age_type = "HALF"
        self.executed = self.shaped = 0
        self.runtime = None
        self.jit = False
        self.compiled = 0

    def gone(self, thing, name):
        weakref.finalize(thing, self.cuda.diary.append, f"{name} gone")

    def tell(self, said):
        self.runtime_logger.log(self.module.ILogger.Severity.ERROR, said)


class RuntimeCache:
    """What TensorRT-RTX compiled; a stored one is taken if it is of this "driver"."""

    def __init__(self, library):
        self.library, self.content = library, b""

    def deserialize(self, blob):
        fits = blob == b"kernels"
        self.content = blob if fits else b""
        return fits

    def compile(self):
        self.library.compiled += not self.content
        self.content = b"kernels"

    def serialize(self):
        return memoryview(self.content)


class RuntimeConfig:
    def __init__(self, library):
        self.library = library

    def create_runtime_cache(self):
        return RuntimeCache(self.library)

    def set_runtime_cache(self, cache):
        self.cache = cache
        return True


class Context:
    def __init__(self, library, engine):
        self.library, self.engine = library, engine
        self.shapes, self.addresses, self.warm = {}, {}, None
        library.gone(self, "context")

    def set_input_shape(self, name, shape):
        assert isinstance(shape, tuple)
        self.library.shaped += 1
        low, _, high = self.library.batches
        self.shapes[name] = shape
        return low <= shape[0] <= high

    def get_tensor_shape(self, name):
        if name in self.shapes:
            return self.shapes[name]
        return (self.shapes["volume"][0], {"embedding": 2, "age": 1}[name])

    def set_tensor_address(self, name, address):
        assert address in self.library.cuda.memory
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream):
        library = self.library
        assert stream == Cuda.STREAM
        assert self.addresses.keys() == set(self.engine.names)
        assert self.shapes["volume"] == self.shapes["mask"]
        if not library.runs:
            library.tell("out of luck")
            return False
        batch = self.shapes["volume"][0]
        if library.cuda.captured is not None and self.warm != batch:
            return False  # the first run with a shape may do what no graph can
        self.warm = batch
        library.cuda.put(lambda: self.compute(batch))
        return True

    def compute(self, batch):
        self.library.executed += 1
        seen = self.array("volume", (batch, 8)) * self.array("mask", (batch, 8))
        self.array("embedding", (batch, 2))[:] = np.stack([seen.sum(1), seen.max(1)], 1)
        self.array("age", (batch, 1), np.float16)[:] = seen.sum(1, keepdims=True) / 10

    def array(self, name, shape, kind=np.float32):
        count = int(np.prod(shape))
        block = (ctypes.c_char * (count * np.dtype(kind).itemsize)).from_address(
            self.addresses[name]
        )
        return np.frombuffer(block, kind).reshape(shape)


class CudaEngine:
    names = ("volume", "embedding", "mask", "age")
    num_io_tensors = len(names)

    def __init__(self, library):
        self.library = library
        library.gone(self, "engine")

    def get_tensor_name(self, i):
        return self.names[i]

    def get_tensor_mode(self, name):
        modes = self.library.module.TensorIOMode
        return modes.INPUT if name in ("volume", "mask") else modes.OUTPUT

    def get_tensor_dtype(self, name):
        types = self.library.module.DataType
        return types[self.library.age_type] if name == "age" else types.FLOAT

    def get_tensor_profile_shape(self, name, profile):
        assert profile == 0
        return [(batch, *CUBE) for batch in self.library.batches]

    def create_runtime_config(self):
        return RuntimeConfig(self.library)

    def create_execution_context(self, config=None):
        if self.library.jit:
            config.cache.compile()
        if not self.library.prepares:
            self.library.tell("no memory for activations")
            return None
        return Context(self.library, self)


@pytest.fixture
def gpu(monkeypatch):
    """The CUDA runtime's stand-in, in place of the real bindings."""
    fake = Cuda()
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", fake)
    monkeypatch.setattr(driver_facts, "missing", lambda number=0: None)
    monkeypatch.setattr(driver_facts, "architecture", lambda number=0: "sm89")
    monkeypatch.setattr(driver_facts, "name", lambda number=0: "NVIDIA L4")
    monkeypatch.setattr(driver_facts, "driver", lambda: "13.0")
    return fake


@pytest.fixture
def library(gpu, monkeypatch):
    """TensorRT's stand-in beside it, as `tensorrt` 10.16."""
    module = ModuleType("tensorrt")
    fake = Library(gpu, module)

    class ILogger:
        Severity = enum.Enum("Severity", ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE"])

    class Runtime:
        def __init__(self, logger):
            fake.runtime_logger = logger
            fake.runtime = weakref.proxy(self)
            fake.gone(self, "runtime")

        def deserialize_cuda_engine(self, data):
            assert data == b"engine"
            if not fake.loads:
                fake.tell("The engine plan file is not compatible with this version of TensorRT")
                return None
            return CudaEngine(fake)

    module.__dict__.update(
        __version__="10.16.1", ILogger=ILogger, Runtime=Runtime,
        DataType=enum.Enum("DataType", ["FLOAT", "HALF", "INT32"]),
        TensorIOMode=enum.Enum("TensorIOMode", ["INPUT", "OUTPUT"]),
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    monkeypatch.setattr("runtime.engines.trt.logger._listeners", {})
    return fake


@pytest.fixture
def jit(library):
    """The stand-in as TensorRT-RTX is: it compiles an engine when a context is made."""
    library.jit = True
    library.module.IRuntimeCache = RuntimeCache
    return library


@pytest.fixture
def cubes():
    """Inputs of a batch, and what the stand-in's network makes of them."""

    def make(batch=1, seed=0):
        rng = np.random.default_rng(seed)
        volume = rng.normal(size=(batch, *CUBE)).astype(np.float32)
        mask = (rng.random((batch, *CUBE)) > 0.3).astype(np.float32)
        seen = (volume * mask).reshape(batch, -1)
        expected = SimpleNamespace(
            embedding=np.stack([seen.sum(1), seen.max(1)], 1), age=seen.sum(1, keepdims=True) / 10
        )
        return {"volume": volume, "mask": mask}, expected

    return make
