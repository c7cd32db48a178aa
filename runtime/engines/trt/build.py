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
from runtime import atomic
from runtime.engines import cuda
from runtime.engines.trt import layers
from runtime.engines.trt.bindings import LIBRARIES, Batches, check_target, load
from runtime.engines.trt.logger import Record, listen


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
    onnx_path: str | os.PathLike[str],
    library: str = "rtx",
    target: str | None = None,
    batches: Batches = (1, 1, 1),
    workspace: int | None = None,
    timing_cache: Path | None = None,
) -> Plan:
    """Compile an ONNX model.

    An engine for the GPU at hand is loaded once, which proves that it loads, and described by the
    engine inspector; any other is described by what the builder logged.

    Args:
        onnx_path: the model; weights in files beside it are found.
        library: "rtx" or "tensorrt".
        target: the GPU architecture, "sm89"; that of the GPU at hand when absent.
        batches: the smallest, usual and largest batch.
        workspace: bytes of GPU memory that a layer may use; no limit when absent.
        timing_cache: a file with an earlier build's measurements, read where it is there and
            written afterwards; TensorRT only, TensorRT-RTX measures nothing while it builds.

    Raises:
        UsageError: for batches out of order, or a target that the library does not know.
        CapabilityError: if the library is missing, or this machine cannot build for the target.
        EngineError: if the library cannot read or compile the model, naming the node.
    """
    if not 1 <= batches[0] <= batches[1] <= batches[2]:
        raise UsageError(f"batches are smallest, usual, largest, at least 1; not {batches}")
    check_target(library, target)
    trt = load(library)
    target = aim(library, target)
    path = Path(onnx_path)
    with listen(trt) as (logger, record):
        builder = trt.Builder(logger)
        network = builder.create_network(_network_flags(trt))
        _parse(trt, logger, network, path, library)
        config = builder.create_builder_config()
        _configure(trt, config, workspace)
        if LIBRARIES[library].builds_for:
            _set_target(trt, config, target, library)
        timings = timing_cache if library == "tensorrt" else None
        if timings is not None:
            _read_timings(config, timings)
        _profile(builder, config, network, batches, path)
        described = layers.network(network)
        memory = builder.build_serialized_network(network, config)
        if memory is None:
            raise EngineError(_failure(library, f"cannot compile {path} for {target}", record))
        if timings is not None:
            atomic.write_bytes(timings, bytes(config.get_timing_cache().serialize()))
        data = bytes(memory)
        if target == cuda.architecture():
            made = _inspect(trt, logger, data, library, record)
        else:
            made = layers.logged(record)
    return Plan(data, library, trt.__version__, target, described, made)


def aim(library: str, target: str | None) -> str:
    """The GPU architecture to build for; None is the GPU at hand.

    Raises:
        UsageError: for a named architecture that the library does not compile for.
        CapabilityError: if there is no GPU to build for, or only another one.
    """
    known = LIBRARIES[library]
    here = cuda.architecture()
    if target is None:
        if here is None:
            wish = "; name one with --target" if known.builds_for else ""
            raise CapabilityError(f"{known.name} finds no GPU to build for: {cuda.missing()}{wish}")
        try:
            check_target(library, here)
        except UsageError as error:  # nobody named it: the machine is to blame, not the command
            raise CapabilityError(f"the GPU at hand is {here}: {error}") from None
        return here
    check_target(library, target)
    if not known.builds_for and target != here:
        at_hand = f"that is {here}" if here else str(cuda.missing())
        raise CapabilityError(
            f"{known.name} builds for the GPU at hand only, not for {target}: {at_hand}"
        )
    return target


def _network_flags(trt: Any) -> int:
    """Strongly typed, by position: the flag's value moves from version to version."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _parse(trt: Any, logger: Any, network: Any, path: Path, library: str) -> None:
    if not path.is_file():
        raise EngineError(f"{path} does not exist; nothing to build an engine from")
    parser = trt.OnnxParser(network, logger)
    # By path, not from memory: only then are weights in files beside the model found.
    if not parser.parse_from_file(os.fspath(path)):
        errors = [parser.get_error(i) for i in range(parser.num_errors)]
        said = "; ".join(map(_parser_error, errors)) or "it gives no reason"
        raise EngineError(f"{LIBRARIES[library].name} cannot read {path}: {said}")


def _parser_error(error: Any) -> str:
    name, operator = error.node_name(), error.node_operator()
    where = f"node {name!r} ({operator}): " if name or operator else ""
    return f"{where}{error.desc()}"


def _configure(trt: Any, config: Any, workspace: int | None) -> None:
    if workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    # On by default, TF32 rounds every product to 10 bits, which is not what "float32" promises.
    config.clear_flag(trt.BuilderFlag.TF32)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED


def _set_target(trt: Any, config: Any, target: str, library: str) -> None:
    capability = getattr(trt.ComputeCapability, target.upper(), None)
    config.num_compute_capabilities = 1
    if capability is None or not config.set_compute_capability(capability, 0):
        raise CapabilityError(
            f"this {LIBRARIES[library].name} ({trt.__version__}) does not build for {target}; "
            "install a newer one"
        )


def _profile(builder: Any, config: Any, network: Any, batches: Batches, path: Path) -> None:
    profile = builder.create_optimization_profile()
    for tensor in (network.get_input(i) for i in range(network.num_inputs)):
        batch, *rest = tensor.shape
        if -1 in rest or (batch != -1 and set(batches) != {batch}):
            raise EngineError(
                f"input {tensor.name!r} of {path} is {tuple(tensor.shape)}: only its batch may be "
                f"free, and a fixed one must be the batch asked for, {batches}"
            )
        profile.set_shape(tensor.name, *((b, *rest) for b in batches))
    if config.add_optimization_profile(profile) < 0:
        raise EngineError(f"the batches {batches} do not suit {path}")


def _read_timings(config: Any, file: Path) -> None:
    stored = file.read_bytes() if file.is_file() else b""
    # Another version's or another GPU's measurements are not taken: a new cache starts instead.
    if not config.set_timing_cache(config.create_timing_cache(stored), False):
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _inspect(trt: Any, logger: Any, data: bytes, library: str, record: Record) -> dict[str, Any]:
    runtime = trt.Runtime(logger)
    engine = runtime.deserialize_cuda_engine(data)
    if engine is None:  # the bindings do not raise
        raise EngineError(_failure(library, "cannot load the engine it has just built", record))
    return layers.inspected(trt, engine)


def _failure(library: str, what: str, record: Record) -> str:
    said = "; ".join(dict.fromkeys(map(str.strip, record.errors))) or "it gives no reason"
    return f"{LIBRARIES[library].name} {what}: {said}"
