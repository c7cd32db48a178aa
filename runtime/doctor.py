"""What this machine can run: the processor, the engines, and why the others are missing."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

from fmtool import __version__
from fmtool.environment import caches
from fmtool.errors import CapabilityError
from runtime.engines import cuda
from runtime.engines.choose import backends, choose
from runtime.engines.trt import bindings
from runtime.system.machine import cores, cpu_name, instructions, memory


def examine() -> dict[str, Any]:
    """Facts about this machine as plain data.

    Returns:
        "fmtool", "python", "processor", "instructions" (those that speed networks up, each
        there or not), "cores" and "memory_gib" (that this process may use; None where the system
        does not say), "gpus" (number, name, capability), "no_gpu" (why there is none and what to
        do, or None), "driver_cuda" (the newest CUDA that the driver runs), "backends" (see
        `Backend`), "builds" (library, name, version, targets, reason: whether TensorRT and
        TensorRT-RTX can compile here, and for which GPUs), "cache" (its folder), "choice" (what
        `auto` takes and why, or None), "training" (what the `train` extra
        brings, with versions or None).
    """
    found = backends()
    usable = any(b.available for b in found)
    choice = choose() if usable else None
    return {
        "fmtool": __version__,
        "python": platform.python_version(),
        "processor": cpu_name(),
        "instructions": instructions(),
        "cores": cores(),
        "memory_gib": None if (held := memory()) is None else round(held / 2**30, 1),
        "gpus": gpus(),
        "no_gpu": cuda.gpu(0),
        "driver_cuda": cuda.driver(),
        "backends": [vars(b) for b in found],
        "builds": [_builds(library) for library in bindings.LIBRARIES],
        "cache": str(caches.folder("engines").parent),
        "choice": vars(choice) if choice else None,
        "training": {name: _version(name) for name in ("torch", "monai", "scikit-learn")},
    }


def gpus() -> list[dict[str, Any]]:
    """The NVIDIA GPUs that the driver offers: number, name, and capability such as "sm89"."""
    found: list[dict[str, Any]] = []
    while cuda.missing(len(found)) is None:
        number = len(found)
        facts = {"number": number, "name": cuda.name(number)}
        found.append({**facts, "capability": cuda.architecture(number)})
    return found


def _builds(library: str) -> dict[str, Any]:
    """Whether a library can compile engines here, for which GPUs, and if not, why."""
    known = bindings.LIBRARIES[library]
    facts: dict[str, Any] = {"library": library, "name": known.name, "version": None, "targets": []}
    try:
        facts["version"] = bindings.load(library).__version__
    except CapabilityError as error:
        return facts | {"reason": str(error)}
    here = cuda.architecture()
    targets = list(known.builds_for) or ([here] if here else [])
    reason = None if targets else f"{known.name} builds for the GPU at hand: {cuda.missing(0)}"
    return facts | {"targets": targets, "reason": reason}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
