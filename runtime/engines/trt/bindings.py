"""The Python bindings of TensorRT and TensorRT-RTX: one programming interface, two libraries."""

from __future__ import annotations

import importlib
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fmtool.errors import CapabilityError, UsageError
from fmtool.errors.advice import option
from runtime.engines.cache.key import NAMES

Batches = tuple[int, int, int]
"""The smallest, usual and largest batch of an engine; it is tuned for the usual one."""

OLDEST = (10, 12)
"""The version of TensorRT that gave up weak typing: from there on, precision is the graph's."""


@dataclass(frozen=True)
class Library:
    """One of the two libraries.

    Attributes:
        name: as people write it.
        loader: a module that loads the shared libraries when it is imported, or "".
        modules: the names its bindings go by, first choice first.
        extra: fmtool's extra that installs it.
        builds_for: the GPU architectures it compiles for without having one of them; none means
            that it compiles for the GPU at hand only.
    """

    name: str
    loader: str
    modules: tuple[str, ...]
    extra: str
    builds_for: tuple[str, ...] = ()


LIBRARIES = {
    "rtx": Library(
        NAMES["rtx"],
        "onnxruntime_ep_nv_tensorrt_rtx",
        ("tensorrt_rtx_bindings", "tensorrt_rtx"),
        "rtx",
        ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121"),
    ),
    "tensorrt": Library(NAMES["tensorrt"], "", ("tensorrt", "tensorrt_bindings"), "tensorrt"),
}
"""By the short name that options and the engine cache use."""


def check_target(library: str, target: str | None, precision: str = "float16") -> None:
    """Refuse what no installation could build; None is the GPU at hand.

    Raises:
        UsageError: for an architecture that the library does not compile for, or not in that
            precision.
    """
    known = LIBRARIES[library]
    if target is None:
        return
    if not re.fullmatch(r"sm\d{2,3}", target):
        raise UsageError(f"{target!r} is no GPU architecture; an Ada GPU's is sm89")
    if not known.builds_for:
        return
    if target not in known.builds_for:
        # The library lists no Hopper: without this, "sm90" would read like a slip of the pen.
        why = ", whose GPUs run TensorRT or ONNX Runtime on CUDA" if target == "sm90" else ""
        raise UsageError(
            f"{known.name} has no engines for {target}{why}; it has for "
            f"{', '.join(known.builds_for)}"
        )
    if target == "sm75" and precision != "float16":
        words = {"float32": "float32", "int8": "INT8"}.get(precision, precision)
        advice = option(f"; say --fp16{' without --int8' if precision == 'int8' else ''}")
        raise UsageError(f"{known.name} compiles no {words} 3D convolution for sm75{advice}")


def load(library: str) -> Any:
    """The bindings' module, its shared libraries loaded.

    Raises:
        CapabilityError: if a package or a shared library is missing, or too old.
    """
    wanted = LIBRARIES[library]
    if wanted.loader:
        # Absent where NVIDIA's own package brings the libraries; the bindings below tell.
        with suppress(ModuleNotFoundError):
            importlib.import_module(wanted.loader)
    reasons = []
    for name in wanted.modules:
        try:
            module = importlib.import_module(name)
        except (ImportError, OSError) as error:
            reasons.append(str(error))
            continue
        version = tuple(map(int, module.__version__.split(".")[:2]))
        if library == "tensorrt" and version < OLDEST:
            raise CapabilityError(
                f"TensorRT {module.__version__} is too old; 10.12 or newer is needed: "
                f"`pip install --upgrade 'fmtool[{wanted.extra}]'`"
            )
        return module
    # A library that does not load says more than a name that is not there.
    reason = max(reasons, key=lambda text: "No module named" not in text)
    raise CapabilityError(
        f"{wanted.name} cannot be used ({reason}); install it with "
        f"`pip install 'fmtool[{wanted.extra}]'`"
    )


def versions() -> dict[str, str | None]:
    """By library: the version that can be used here, or None."""
    found: dict[str, str | None] = dict.fromkeys(LIBRARIES)
    for library in LIBRARIES:
        with suppress(CapabilityError):
            found[library] = load(library).__version__
    return found


def parse_batches(text: str) -> Batches:
    """The batches that "1,4,8" names, or one number for all three.

    Raises:
        UsageError: if it names none.
    """
    numbers = [int(n) if n.strip().isdecimal() else 0 for n in text.split(",")]
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3 or not 1 <= numbers[0] <= numbers[1] <= numbers[2]:
        raise UsageError(f"--batch is one number, or smallest,usual,largest; not {text!r}")
    return numbers[0], numbers[1], numbers[2]


def pick(named_target: bool) -> str:
    """The library to build with where none is named: for the GPU at hand, TensorRT if it is there.

    Args:
        named_target: whether a GPU architecture was named, for which TensorRT-RTX alone builds.
    """
    there = versions()
    return "tensorrt" if there["tensorrt"] and not named_target else "rtx"
