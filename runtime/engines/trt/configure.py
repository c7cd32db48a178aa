"""The builder's settings: what is compiled for, within which limits, for which batches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmtool.errors import CapabilityError, EngineError, UsageError
from runtime.engines import cuda
from runtime.engines.trt.bindings import LIBRARIES, Batches


@dataclass(frozen=True)
class Options:
    """How an engine is built, beside what it is built from and for.

    Attributes:
        workspace: bytes of GPU memory that a layer may use; no limit when absent.
        hardware_compatible: let it run on every GPU from Ampere on, more slowly; TensorRT only.
        version_compatible: let newer versions of the library run it, by code it brings along.
    """

    workspace: int | None = None
    hardware_compatible: bool = False
    version_compatible: bool = False


def check_options(library: str, options: Options) -> None:
    """Refuse what the library or this machine cannot build.

    Raises:
        UsageError: for TensorRT-RTX and hardware compatibility.
        CapabilityError: for TensorRT-RTX and version compatibility without a GPU.
    """
    if library != "rtx":
        return
    if options.hardware_compatible:
        raise UsageError(
            "TensorRT-RTX has no hardware-compatible engines; name each architecture with --target"
        )
    if options.version_compatible and cuda.architecture() is None:
        raise CapabilityError(
            "TensorRT-RTX builds version-compatible engines only where there is a GPU: "
            f"{cuda.missing()}"
        )


def configure(trt: Any, config: Any, options: Options, target: str, library: str) -> None:
    """Set the builder's configuration; refit stays off, as the library has it."""
    flags = trt.BuilderFlag
    if options.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace)
    # On by default, TF32 rounds every product to 10 bits, which is not what "float32" promises.
    config.clear_flag(flags.TF32)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if options.hardware_compatible:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    if options.version_compatible:
        config.set_flag(flags.VERSION_COMPATIBLE)
    # TensorRT-RTX captures an engine in a CUDA graph only if it allocates nothing of its own.
    if hasattr(flags, "REQUIRE_USER_ALLOCATION"):
        config.set_flag(flags.REQUIRE_USER_ALLOCATION)
    if LIBRARIES[library].builds_for:
        _set_target(trt, config, target, library)


def _set_target(trt: Any, config: Any, target: str, library: str) -> None:
    capability = getattr(trt.ComputeCapability, target.upper(), None)
    config.num_compute_capabilities = 1
    if capability is None or not config.set_compute_capability(capability, 0):
        raise CapabilityError(
            f"this {LIBRARIES[library].name} ({trt.__version__}) does not build for {target}; "
            "install a newer one"
        )


def add_profile(builder: Any, config: Any, network: Any, batches: Batches, path: Path) -> None:
    """One optimisation profile, in which only the batch is free."""
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


def read_timings(config: Any, file: Path) -> None:
    """Take an earlier build's measurements along, if they are this version's and this GPU's."""
    stored = file.read_bytes() if file.is_file() else b""
    # Another version's or another GPU's measurements are not taken: a new cache starts instead.
    if not config.set_timing_cache(config.create_timing_cache(stored), False):
        config.set_timing_cache(config.create_timing_cache(b""), False)
