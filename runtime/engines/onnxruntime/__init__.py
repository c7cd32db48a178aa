"""ONNX Runtime, on the CPU or on an NVIDIA GPU: it runs where it was told to, or not at all."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from fmtool.errors import CapabilityError, EngineError
from runtime.engines import cuda, table
from runtime.engines.base import Arrays, Engine
from runtime.engines.onnxruntime import providers as ort_providers

_PACKAGES = ("onnxruntime-gpu", "onnxruntime")


class OnnxRuntimeEngine(Engine):
    """An ONNX model in an ONNX Runtime session.

    Args:
        model: an ONNX file, or its bytes.
        device: "cpu", "cuda" (the first GPU) or "cuda:N".
        precision: what the model was exported in.
        library: on a GPU, with which provider; a name of `ort_providers.PROVIDERS`.
        cache: a folder for what the provider compiles; none is kept when absent.

    Raises:
        CapabilityError: if ONNX Runtime is missing, or the device, provider or precision is not
            to be had.
    """

    def __init__(
        self,
        model: Path | bytes,
        device: str = "cpu",
        precision: str = "float32",
        library: str = "onnxruntime",
        cache: Path | None = None,
    ) -> None:
        ort = load()
        row = table.find(library, "cpu" if device == "cpu" else "cuda")
        if row is None:
            raise CapabilityError(f"{library} does not run on {device!r}")
        if precision not in row.precisions:
            raise CapabilityError(
                f"{row.title} does not compute in {precision} on {device}; "
                f"it does in {' and '.join(row.precisions)}"
            )
        self.library = library
        self.version = version() or ort.__version__
        self.device = device
        self.precision = precision
        if device == "cpu":
            options = ort_providers.settings(ort)
            self._session: Any = ort.InferenceSession(model, options, providers=[ort_providers.CPU])
        else:
            number = cuda.index(device)
            self.device = f"cuda:{number}"
            self._session = ort_providers.session(ort, model, library, number, precision, cache)
        self._names = [output.name for output in self._session.get_outputs()]

    @property
    def providers(self) -> list[str]:
        """Where the session runs, as it says itself; the first is the one asked for."""
        return list(self._session.get_providers())

    def run(self, inputs: Arrays) -> Arrays:
        """All outputs by name, float32, for float32 inputs by name.

        Raises:
            EngineError: if the GPU or its library reports an error; nothing runs on the CPU then.
        """
        ready = {k: np.ascontiguousarray(v, dtype=np.float32) for k, v in inputs.items()}
        try:
            outputs = self._session.run(self._names, ready)
        except Exception as error:  # ONNX Runtime's exceptions share no other base
            if self.device == "cpu":
                raise
            raise EngineError(f"{self.describe()} failed: {str(error).splitlines()[0]}") from error
        return {
            n: np.asarray(o, dtype=np.float32) for n, o in zip(self._names, outputs, strict=True)
        }

    def close(self) -> None:
        """Release the session and its memory."""
        self._session = None


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
