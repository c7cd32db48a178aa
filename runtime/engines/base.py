"""What every engine is: a model compiled for one device and precision, run on NumPy arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float32]]


class Engine(ABC):
    """A model compiled by one library; use it as a context manager.

    Attributes:
        library: what compiled it: a name of `runtime.engines.table`, or for the engines of the
            engine cache "tensorrt" or "rtx".
        version: the library's version.
        device: "cpu" or "cuda:N".
        precision: what it computes in: "float32", "bfloat16", "float16" or "int8".
    """

    library: str
    version: str
    device: str
    precision: str

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

    def __exit__(self, *error: object) -> None:
        self.close()


class Module(Protocol):
    """What the module of an engine for the CPU offers; `runtime.engines.openvino` is one."""

    def ENGINE(self, model: Path | bytes, device: str, precision: str) -> Engine:
        """Its class."""

    def load(self) -> Any:
        """The library; `CapabilityError` if it is not to be had, saying how to get it."""

    def version(self) -> str | None:
        """The library's installed version."""

    def precisions(self) -> tuple[str, ...]:
        """What it computes in on this machine."""


def module(name: str) -> Module:
    """The module of that name of `runtime.engines`, loaded when it is needed."""
    return cast(Module, import_module(f"runtime.engines.{name}"))
