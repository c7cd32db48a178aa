"""What this machine has of the table of engines, and what it lacks, said so that it can be got."""

from __future__ import annotations

from fmtool.errors import CapabilityError
from fmtool.errors.advice import option
from runtime.engines import cuda, onnxruntime
from runtime.engines.base import module
from runtime.engines.cuda import gpu, together
from runtime.engines.onnxruntime import providers as ort_providers
from runtime.engines.table import NATIVE, EngineRow
from runtime.engines.trt import bindings


def missing(row: EngineRow, number: int = 0) -> str | None:
    """What this machine lacks to run it, on GPU `number` if on one, with how to get it; or None."""
    try:
        if row.name in NATIVE:
            return _native_missing(NATIVE[row.name], number)
        if row.module:
            module(row.module).load()
            return None
        ort = onnxruntime.load()
        return None if row.device == "cpu" else ort_providers.missing(ort, row.name, number)
    except CapabilityError as error:
        return str(error)


def version(row: EngineRow) -> str | None:
    """The installed version of the row's library, whether or not it can run; None without one."""
    if row.name in NATIVE:
        try:
            return str(bindings.load(NATIVE[row.name]).__version__)
        except CapabilityError:
            return None
    return module(row.module).version() if row.module else onnxruntime.version()


def precisions(row: EngineRow) -> tuple[str, ...]:
    """What the row's engine, which must not be missing, computes in on this machine."""
    return module(row.module).precisions() if row.module else row.precisions


def _native_missing(library: str, number: int) -> str | None:
    lacks = [gpu(number)]
    try:
        bindings.load(library)
    except CapabilityError as error:
        lacks.append(str(error))
    else:
        lacks.append(_bindings_missing())
    here = cuda.architecture(number)
    builds_for = bindings.LIBRARIES[library].builds_for
    if here and builds_for and here not in builds_for:
        lacks.append(
            f"it has nothing for this GPU ({here})"
            f"{option('; --engine tensorrt and --engine onnxruntime run on it')}"
        )
    return together(lacks)


def _bindings_missing() -> str | None:
    from runtime.engines.trt import driver

    try:
        driver.load()
    except CapabilityError as error:
        return str(error)
    return None
