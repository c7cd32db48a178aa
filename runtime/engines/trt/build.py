"""ONNX -> an engine of TensorRT or TensorRT-RTX: the same calls build both.

Precision lives in the graph: networks are strongly typed, and what the ONNX file says is what the
engine computes in. TensorRT-RTX builds without a GPU, for any architecture it knows; TensorRT
builds for the GPU at hand.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmtool.errors import CapabilityError, EngineError, UsageError
from runtime.engines import cuda
from runtime.engines.trt import driver, layers
from runtime.engines.trt.bindings import LIBRARIES, Batches, check_target, load
from runtime.engines.trt.configure import (
    Options,
    add_profile,
    check_options,
    configure,
    read_timings,
)
from runtime.engines.trt.logger import LogRecord, listen
from runtime.system import atomic

DEFAULT = Options()


@dataclass(frozen=True)
class Plan:
    """A built engine.

    Attributes:
        data: the serialised engine.
        library: "rtx" or "tensorrt".
        version: the library's.
        target: the GPU architecture, such as "sm89".
        network: the parsed network's inputs, outputs and layers, with their types.
        engine: the engine's own layers after fusion, and who said so.
    """

    data: bytes
    library: str
    version: str
    target: str
    network: dict[str, Any]
    engine: dict[str, Any]


def build(
    onnx: str | os.PathLike[str] | bytes,
    library: str = "rtx",
    target: str | None = None,
    batches: Batches = (1, 1, 1),
    options: Options = DEFAULT,
    timing_cache: Path | None = None,
    number: int = 0,
) -> Plan:
    """Compile an ONNX model.

    An engine for the GPU at hand is loaded once, which proves that it loads, and described by the
    engine inspector; any other is described by what the builder logged.

    Args:
        onnx: the model's file, where weights beside it are found, or its bytes.
        library: "rtx" or "tensorrt".
        target: the GPU architecture, "sm89"; that of the GPU at hand when absent.
        batches: the smallest, usual and largest batch.
        options: of the builder.
        timing_cache: a file with an earlier build's measurements, read where it is there and
            written afterwards; TensorRT only, TensorRT-RTX measures nothing while it builds.
        number: the GPU at hand.

    Raises:
        UsageError: for batches out of order, or a target or option that the library does not know.
        CapabilityError: if the library is missing, or this machine cannot build for the target.
        EngineError: if the library cannot read or compile the model, naming the node.
    """
    if not 1 <= batches[0] <= batches[1] <= batches[2]:
        raise UsageError(f"batches are smallest, usual, largest, at least 1; not {batches}")
    check_target(library, target)
    check_options(library, options)
    trt = load(library)
    target = aim(library, target, number)
    if number:
        driver.use(number)  # the libraries build on the thread's current GPU
    model = onnx if isinstance(onnx, bytes) else Path(onnx)
    path = model if isinstance(model, Path) else Path("the bundle's model")
    with listen(trt) as (logger, record):
        builder = trt.Builder(logger)
        network = builder.create_network(_network_flags(trt))
        _parse(trt, logger, network, model, library)
        config = builder.create_builder_config()
        configure(trt, config, options, target, library)
        timings = timing_cache if library == "tensorrt" else None
        if timings is not None:
            read_timings(config, timings)
        add_profile(builder, config, network, batches, path)
        described = layers.network(network)
        memory = builder.build_serialized_network(network, config)
        if memory is None:
            raise EngineError(_failure(library, f"cannot compile {path} for {target}", record))
        if timings is not None:
            atomic.write_bytes(timings, bytes(config.get_timing_cache().serialize()))
        data = bytes(memory)
        if target == cuda.architecture(number):
            made = _inspect(trt, logger, data, library, options, record)
        else:
            made = layers.logged(record)
    return Plan(data, library, trt.__version__, target, described, made)


def aim(library: str, target: str | None, number: int = 0) -> str:
    """The GPU architecture to build for; None is the GPU at hand, which is `number`.

    Raises:
        UsageError: for a named architecture that the library does not compile for.
        CapabilityError: if there is no GPU to build for, or only another one.
    """
    known = LIBRARIES[library]
    here = cuda.architecture(number)
    if target is None:
        if here is None:
            wish = "; name one with --target" if known.builds_for else ""
            raise CapabilityError(
                f"{known.name} finds no GPU to build for: {cuda.missing(number)}{wish}"
            )
        try:
            check_target(library, here)
        except UsageError as error:  # nobody named it: the machine is to blame, not the command
            raise CapabilityError(f"the GPU at hand is {here}: {error}") from None
        return here
    check_target(library, target)
    if not known.builds_for and target != here:
        at_hand = f"that is {here}" if here else str(cuda.missing(number))
        raise CapabilityError(
            f"{known.name} builds for the GPU at hand only, not for {target}: {at_hand}"
        )
    return target


def _network_flags(trt: Any) -> int:
    """Strongly typed, by position: the flag's value moves from version to version."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _parse(trt: Any, logger: Any, network: Any, onnx: Path | bytes, library: str) -> None:
    parser = trt.OnnxParser(network, logger)
    if isinstance(onnx, bytes):
        path, parsed = Path("the bundle's model"), parser.parse(onnx)
    elif onnx.is_file():
        path, parsed = onnx, parser.parse_from_file(os.fspath(onnx))
    else:
        raise EngineError(f"{onnx} does not exist; nothing to build an engine from")
    if not parsed:
        errors = [parser.get_error(i) for i in range(parser.num_errors)]
        said = "; ".join(map(_parser_error, errors)) or "it gives no reason"
        raise EngineError(f"{LIBRARIES[library].name} cannot read {path}: {said}")


def _parser_error(error: Any) -> str:
    name, operator = error.node_name(), error.node_operator()
    where = f"node {name!r} ({operator}): " if name or operator else ""
    return f"{where}{error.desc()}"


def _inspect(
    trt: Any, logger: Any, data: bytes, library: str, options: Options, record: LogRecord
) -> dict[str, Any]:
    runtime = trt.Runtime(logger)
    if options.version_compatible:
        runtime.engine_host_code_allowed = True
    engine = runtime.deserialize_cuda_engine(data)
    if engine is None:  # the bindings do not raise
        raise EngineError(_failure(library, "cannot load the engine it has just built", record))
    return layers.inspected(trt, engine)


def _failure(library: str, what: str, record: LogRecord) -> str:
    return f"{LIBRARIES[library].name} {what}: {record.reason()}"
