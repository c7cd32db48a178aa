"""A built engine of TensorRT or TensorRT-RTX, run on its GPU."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from fmtool.errors import EngineError, UsageError
from runtime.engines import cuda
from runtime.engines.base import Arrays, Engine
from runtime.engines.trt import bindings, logger
from runtime.engines.trt.buffers import Buffer
from runtime.engines.trt.driver import Gpu, Graph
from runtime.engines.trt.kernels import Kernels

_log = logging.getLogger("fmtool.tensorrt")


class TensorRTEngine(Engine):
    """An engine's file, loaded; its memory is allocated once, for the profile's largest batch.

    Where the profile has one batch only, what the GPU does for it is captured as a CUDA graph and
    launched at once. One thread at a time may call `run`.

    Args:
        model: the engine's file, as `runtime.engines.cache.store` keeps it.
        device: "cuda" (the first GPU) or "cuda:N".
        precision: of the graph that it was built from.
        library: "rtx" or "tensorrt".
        version_compatible: the engine brings the code to run it, of an older version.

    Raises:
        CapabilityError: if the library, cuda-bindings or the GPU is missing, or its memory full.
        EngineError: if the library cannot load the file.
    """

    def __init__(
        self,
        model: Path,
        device: str = "cuda:0",
        precision: str = "float32",
        library: str = "rtx",
        version_compatible: bool = False,
    ) -> None:
        self._trt = bindings.load(library)
        self.library = library
        self.version = self._trt.__version__
        self.device = f"cuda:{cuda.index(device)}"
        self.precision = precision
        self._model = model
        self._graph: Graph | None = None
        self._warm = False
        self._gpu = Gpu(cuda.index(device))
        try:
            self._load(version_compatible)
            self._bind()
        except BaseException:
            self.close()
            raise

    def describe(self) -> str:
        """One line for people: library, version, device, precision and batches."""
        name = bindings.LIBRARIES[self.library].name
        return f"{name} {self.version}, {self.device}, {self.precision}, {self._batches()}"

    def run(self, inputs: Arrays) -> Arrays:
        """All outputs by name, float32, for float32 inputs by name.

        Raises:
            UsageError: for a batch outside of the engine's, or a shape that is not the model's.
            EngineError: if the GPU or the library reports an error.
        """
        batch = self._check(inputs)
        self._gpu.use()
        with logger.listen(self._trt) as (_, record):
            if batch != self._batch:
                self._reshape(batch, record)
            for buffer in self._inputs:
                buffer.put(inputs[buffer.name])
            if self._graph is not None:
                self._graph.launch()
            else:
                self._enqueue(record)
            for buffer in self._outputs:
                buffer.fetch(batch)
            self._gpu.wait()
        if not self._warm:
            self._warm = True
            self._kernels.keep()
            self._capture()
        return {buffer.name: buffer.get(batch) for buffer in self._outputs}

    def close(self) -> None:
        """Free the graph, the context, its engine, the runtime and then the memory."""
        if self._graph is not None:
            self._graph.close()
            self._graph = None
        self._context: Any = None
        self._kernels: Any = None
        self._engine: Any = None
        self._runtime: Any = None
        self._inputs: list[Buffer] = []
        self._outputs: list[Buffer] = []
        self._gpu.close()

    def _load(self, version_compatible: bool) -> None:
        with logger.listen(self._trt) as (listener, record):
            self._runtime = self._trt.Runtime(listener)
            if version_compatible:
                self._runtime.engine_host_code_allowed = True
            self._engine = self._runtime.deserialize_cuda_engine(self._model.read_bytes())
            if self._engine is None:  # the bindings do not raise
                raise EngineError(self._failure("cannot load it", record))
            self._kernels = Kernels(self._trt, self._engine, self._model)
            self._context = self._kernels.context(self._engine)
            if self._context is None:
                raise EngineError(self._failure("cannot prepare to run it", record))

    def _bind(self) -> None:
        """Allocate every tensor once, and tell the context where it is."""
        trt, engine, context = self._trt, self._engine, self._context
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        modes = {name: engine.get_tensor_mode(name) for name in names}
        takes = [name for name in names if modes[name] == trt.TensorIOMode.INPUT]
        ranges = {name: engine.get_tensor_profile_shape(name, 0) for name in takes}
        for name, (_, _, largest) in ranges.items():
            if not context.set_input_shape(name, tuple(largest)):
                raise EngineError(f"{self._model}: input {name!r} refuses {tuple(largest)}")
        # Known only now that the inputs' are: the largest shape of each output.
        shapes = {name: tuple(context.get_tensor_shape(name)) for name in names}
        buffers = {name: self._buffer(name, shape) for name, shape in shapes.items()}
        self._inputs = [buffers[name] for name in takes]
        self._outputs = [buffers[name] for name in names if name not in takes]
        smallest, _, largest = ranges[takes[0]]
        self._range = (int(smallest[0]), int(largest[0]))
        self._batch = self._range[1]

    def _buffer(self, name: str, shape: tuple[int, ...]) -> Buffer:
        types = self._trt.DataType
        known: dict[Any, np.dtype[Any]] = {
            types.FLOAT: np.dtype(np.float32),
            types.HALF: np.dtype(np.float16),
        }
        kind = self._engine.get_tensor_dtype(name)
        if kind not in known:
            raise EngineError(f"{self._model}: tensor {name!r} is {kind}, not float32 or float16")
        buffer = Buffer(self._gpu, name, shape, known[kind])
        if not self._context.set_tensor_address(name, buffer.address):
            raise EngineError(f"{self._model}: tensor {name!r} takes no address")
        return buffer

    def _check(self, inputs: Arrays) -> int:
        wanted = {buffer.name for buffer in self._inputs}
        if inputs.keys() != wanted:
            raise UsageError(f"the model's inputs are {sorted(wanted)}, not {sorted(inputs)}")
        found = {name: array.shape for name, array in inputs.items()}
        batches = {shape[0] for shape in found.values()}
        fits = all(found[b.name][1:] == b.shape[1:] for b in self._inputs)
        if not fits or len(batches) != 1:
            shapes = {b.name: ("batch", *b.shape[1:]) for b in self._inputs}
            raise UsageError(f"the model's inputs have the shapes {shapes}, not {found}")
        (batch,) = batches
        if not self._range[0] <= batch <= self._range[1]:
            raise UsageError(
                f"the engine {self._model.name} takes {self._batches()}, not {batch}; build one "
                "that does with `fmtool engines build --batch`"
            )
        return int(batch)

    def _batches(self) -> str:
        low, high = self._range
        return f"batch {low}" if low == high else f"batches {low} to {high}"

    def _reshape(self, batch: int, record: logger.LogRecord) -> None:
        self._batch = 0  # neither the one nor the other, should an input be refused
        for buffer in self._inputs:
            shape = (batch, *buffer.shape[1:])
            if not self._context.set_input_shape(buffer.name, shape):
                raise EngineError(self._failure(f"refuses {buffer.name} of {shape}", record))
        self._batch = batch

    def _enqueue(self, record: logger.LogRecord) -> None:
        if not self._context.execute_async_v3(self._gpu.stream):
            raise EngineError(self._failure("cannot run it", record))

    def _capture(self) -> None:
        """After one plain run, in which the library does what only a first run does.

        A graph saves the time of launching layer by layer and changes no result, so that an engine
        that cannot be captured runs on without one, and says so.
        """
        if self._range[0] != self._range[1]:
            return
        # TensorRT-RTX can tell beforehand; TensorRT has no such question.
        ask = getattr(self._context, "is_stream_capturable", lambda stream: True)
        try:
            if not ask(self._gpu.stream):
                raise EngineError("the library cannot capture it")
            with logger.listen(self._trt) as (_, record):
                self._graph = self._gpu.capture(lambda: self._enqueue(record))
        except EngineError as error:
            _log.warning("%s runs without a CUDA graph: %s", self._model.name, error)

    def _failure(self, what: str, record: logger.LogRecord) -> str:
        name = bindings.LIBRARIES[self.library].name
        return f"{name} {self.version} {what}, {self._model}: {record.reason()}"
