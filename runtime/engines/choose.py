"""Which engine, device and precision to use, and why; an explicit wish is met or refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from fmtool.errors import CapabilityError, UsageError
from runtime.engines import cuda, onnxruntime, openvino
from runtime.engines.base import Engine

_ENGINES: dict[str, type[Engine]] = {
    "openvino": openvino.OpenVINOEngine,
    "onnxruntime": onnxruntime.OnnxRuntimeEngine,
}
_LOAD = {"openvino": openvino.load, "onnxruntime": onnxruntime.load}
_PRECISIONS = ("float32", "bfloat16", "float16")
_TENSORRT = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12", "tensorrt-cu13-bindings")


@dataclass(frozen=True)
class Choice:
    """What will run.

    Attributes:
        engine: "openvino" or "onnxruntime".
        device: "cpu" or "cuda:N".
        precision: "float32", "bfloat16" or "float16".
        reason: one sentence for people.
    """

    engine: str
    device: str
    precision: str
    reason: str


@dataclass(frozen=True)
class Backend:
    """One way to run a model, and whether this machine has it.

    Attributes:
        name: the library, with the device where it has several.
        version: the installed version, or None.
        available: whether a model can run on it here.
        reason: why not, or what it is good for.
    """

    name: str
    version: str | None
    available: bool
    reason: str


def choose(engine: str = "auto", device: str = "auto", precision: str = "auto") -> Choice:
    """The fastest combination this machine offers within what was asked for.

    Raises:
        UsageError: for an unknown name, listing the valid ones.
        CapabilityError: if this machine, or the engine, cannot do what was asked for.
    """
    _check("engine", engine, ("auto", *_ENGINES))
    _check("precision", precision, ("auto", *_PRECISIONS))
    device, why = _device(engine, device)
    if engine == "auto":
        engine, because = _engine(device)
        why.append(because)
    else:
        _LOAD[engine]()
    if precision == "auto":
        precision, because = _precision(engine)
        why.append(because)
    return Choice(engine, device, precision, "; ".join(why) if why else "as asked for")


def open_engine(model: Path, choice: Choice) -> Engine:
    """Compile `model` as chosen; close the engine, or use it as a context manager.

    Raises:
        CapabilityError: if this machine cannot do what was chosen.
    """
    return _ENGINES[choice.engine](model, choice.device, choice.precision)


def backends() -> list[Backend]:
    """Every way to run a model that fmtool knows, with its version or what it lacks here."""
    found = [_library("openvino", "the fastest on a CPU"), _library("onnxruntime", "runs anywhere")]
    missing = _cuda_missing(0)
    version = None if missing else onnxruntime.version()
    found.append(
        Backend("onnxruntime cuda", version, missing is None, missing or "the fastest on a GPU")
    )
    installed = next((v for v in map(_version, _TENSORRT) if v), None)
    reason = "fmtool does not run on it yet" if installed else "TensorRT is not installed"
    return [*found, Backend("tensorrt", installed, False, reason)]


def _check(what: str, name: str, valid: Iterable[str]) -> None:
    if name not in valid:
        raise UsageError(f"unknown {what} {name!r}; there are {', '.join(valid)}")


def _device(engine: str, device: str) -> tuple[str, list[str]]:
    if device == "cpu":
        return device, []
    if device == "auto":
        if engine == "openvino":
            return "cpu", ["OpenVINO runs on the CPU"]
        missing = cuda.missing(0) or _cuda_missing(0)
        return ("cpu", [missing]) if missing else ("cuda:0", ["a GPU is ready"])
    device = f"cuda:{cuda.index(device)}"
    if engine == "openvino":
        raise CapabilityError(f"OpenVINO runs on the CPU; for {device} say --engine onnxruntime")
    missing = _cuda_missing(cuda.index(device))
    if missing:
        raise CapabilityError(f"{device} cannot be used: {missing}")
    return device, []


def _cuda_missing(number: int) -> str | None:
    try:
        return onnxruntime.cuda_missing(number)
    except CapabilityError as error:
        return str(error)


def _engine(device: str) -> tuple[str, str]:
    if device != "cpu":
        return "onnxruntime", "ONNX Runtime runs on the GPU"
    try:
        openvino.load()
    except CapabilityError:
        try:
            onnxruntime.load()
        except CapabilityError:
            raise CapabilityError(
                "no inference engine is installed; `pip install 'fmtool[cpu]'` brings two for "
                "the CPU, `fmtool[gpu]` one for an NVIDIA GPU"
            ) from None
        return "onnxruntime", "OpenVINO, which would be faster, is not installed"
    return "openvino", "OpenVINO is the fastest engine on a CPU"


def _precision(engine: str) -> tuple[str, str]:
    if engine == "openvino" and "bfloat16" in openvino.precisions(openvino.load().Core()):
        return "bfloat16", "this CPU computes bfloat16 natively"
    return "float32", "float32 is the reference"


def _library(name: str, good_for: str) -> Backend:
    try:
        _LOAD[name]()
    except CapabilityError as error:
        return Backend(name, None, False, str(error))
    version = onnxruntime.version() if name == "onnxruntime" else _version(name)
    return Backend(name, version, True, good_for)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
