"""What every engine is: a model compiled for one device and precision, run on NumPy arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float32]]


class Engine(ABC):
    """An ONNX model compiled by one library; use it as a context manager.

    Attributes:
        library: "openvino" or "onnxruntime".
        version: the library's version.
        device: "cpu" or "cuda:N".
        precision: what it computes in: "float32", "bfloat16" or "float16".
    """

    library: str
    version: str
    device: str
    precision: str

    @abstractmethod
    def __init__(self, model: Path, device: str = "cpu", precision: str = "float32") -> None: ...

    @abstractmethod
    def run(self, inputs: Arrays) -> Arrays:
        """All outputs by name, float32, for float32 inputs by name."""

    @abstractmethod
    def close(self) -> None:
        """Release the compiled model and its memory."""

    def describe(self) -> str:
        """One line for people: library, version, device and precision."""
        return f"{self.library} {self.version}, {self.device}, {self.precision}"

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
