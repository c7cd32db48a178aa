"""ONNX Runtime, on the CPU or on an NVIDIA GPU: it runs where it was told to, or not at all.

ONNX Runtime itself falls back to the CPU silently when CUDA cannot be started
(microsoft/onnxruntime#23372, #23612); here that is an error.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from fmtool.errors import CapabilityError
from runtime.engines import cuda
from runtime.engines.base import Arrays, Engine

_PACKAGES = ("onnxruntime-gpu", "onnxruntime")


class OnnxRuntimeEngine(Engine):
    """An ONNX model in an ONNX Runtime session.

    Args:
        model: an ONNX file.
        device: "cpu", "cuda" (the first GPU) or "cuda:N".
        precision: "float32"; on CUDA also "float16", for a model that was exported in it.

    Raises:
        CapabilityError: if ONNX Runtime is missing, or the device or precision is not to be had.
    """

    library = "onnxruntime"

    def __init__(self, model: Path, device: str = "cpu", precision: str = "float32") -> None:
        ort = load()
        can = ("float32",) if device == "cpu" else ("float32", "float16")
        if precision not in can:
            raise CapabilityError(
                f"ONNX Runtime does not compute in {precision} on {device}; "
                f"it does in {' and '.join(can)}"
            )
        self.version = version() or ort.__version__
        self.device = device
        self.precision = precision
        options = ort.SessionOptions()
        if device == "cpu":
            provider: Any = "CPUExecutionProvider"
            self._session: Any = ort.InferenceSession(model, options, providers=[provider])
        else:
            self.device = f"cuda:{cuda.index(device)}"
            self._session = _cuda_session(ort, model, options, cuda.index(device))
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: Arrays) -> Arrays:
        """All outputs by name, float32, for float32 inputs by name."""
        ready = {k: np.ascontiguousarray(v, dtype=np.float32) for k, v in inputs.items()}
        outputs = self._session.run(self._names, ready)
        return {
            n: np.asarray(o, dtype=np.float32) for n, o in zip(self._names, outputs, strict=True)
        }

    def close(self) -> None:
        """Release the session and its memory."""
        self._session = None


def _cuda_session(ort: Any, model: Path, options: Any, index: int) -> Any:
    missing = cuda_missing(index)
    if missing:
        raise CapabilityError(f"cuda:{index} cannot be used: {missing}")
    if hasattr(ort, "preload_dlls"):  # finds the CUDA libraries that pip installed
        ort.preload_dlls()
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    # TF32 would round every product to 10 bits, which is not what "float32" promises.
    provider = ("CUDAExecutionProvider", {"device_id": index, "use_tf32": 0})
    try:
        session = ort.InferenceSession(model, options, providers=[provider])
    except Exception as error:  # ONNX Runtime's exceptions share no other base
        reason = str(error).splitlines()[0]
        raise CapabilityError(f"ONNX Runtime cannot run on cuda:{index}: {reason}") from error
    if session.get_providers()[0] != "CUDAExecutionProvider":
        raise CapabilityError(
            f"ONNX Runtime could not start CUDA on cuda:{index} and offered "
            f"{session.get_providers()[0]} instead; check that CUDA and cuDNN are installed"
        )
    return session


def load() -> Any:
    """The ONNX Runtime module.

    Raises:
        CapabilityError: if it is not installed or cannot be loaded.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise CapabilityError(
            f"ONNX Runtime cannot be used ({error}); install it with `pip install 'fmtool[cpu]'`, "
            "or `fmtool[gpu]` for an NVIDIA GPU"
        ) from None
    return onnxruntime


def version() -> str | None:
    """The installed package's version; None when there is none."""
    for package in _PACKAGES:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return None


def cuda_missing(index: int = 0) -> str | None:
    """What ONNX Runtime lacks to use GPU number `index`, or None; cheap, as it makes no session."""
    lacks = [cuda.missing(index)]
    if "CUDAExecutionProvider" not in load().get_available_providers():
        lacks.append(
            "the installed ONNX Runtime is built without CUDA (`pip uninstall onnxruntime`, then "
            "`pip install 'fmtool[gpu]'`)"
        )
    return " and ".join(filter(None, lacks)) or None
