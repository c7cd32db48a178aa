"""The folders of the engine cache in which ONNX Runtime's providers keep what they compile.

What is in one is its provider's; fmtool names the folder, lists it, and removes it whole.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from runtime.engines import onnxruntime
from runtime.engines.cache import store

_LIBRARIES = {"onnxruntime-tensorrt": "tensorrt", "onnxruntime-rtx": "rtx"}
_NAME = re.compile(
    r"(?P<engine>onnxruntime-(?:tensorrt|rtx))\.(?P<precision>[a-z0-9]+)\.(?P<target>[^.]+)"
    r"\.trt(?P<library>.+)\.ort(?P<ort>.+)\.driver(?P<driver>.+)"
)


def claim(
    cache: Path, bundle: str, engine: str, precision: str, target: str, library: str, driver: str
) -> Path:
    """The folder for one provider, made if need be, and marked as used now.

    Its name holds all that the provider's own key leaves out.

    Args:
        cache: the engine cache.
        bundle: the bundle's digest.
        engine: "onnxruntime-tensorrt" or "onnxruntime-rtx".
        precision: the graph's.
        target: the GPU's architecture, such as sm89.
        library: the version of TensorRT or TensorRT-RTX.
        driver: the CUDA version of the driver.
    """
    facts = (engine, precision, target, f"trt{library}")
    name = ".".join((*facts, f"ort{onnxruntime.version()}", f"driver{driver}"))
    folder = store.claim(cache / bundle / name)
    os.utime(folder)
    return folder


def folders(cache: Path) -> list[Path]:
    """Every such folder in the cache, by bundle and name."""
    found = (path for path in cache.glob("*/onnxruntime-*") if _NAME.fullmatch(path.name))
    return sorted(path for path in found if path.is_dir() and not path.is_symlink())


def size(folder: Path) -> int:
    """Bytes of all files in it."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def stale(folder: Path, versions: Mapping[str, str | None]) -> str | None:
    """Why nothing here would use it, or None; what is not installed speaks against nothing.

    Args:
        folder: one of `folders`.
        versions: of the libraries "tensorrt" and "rtx" installed here.
    """
    name = _NAME.fullmatch(folder.name)
    if name is None:
        raise ValueError(f"{folder} is not a provider's folder")
    ours = (
        ("TensorRT", name["library"], versions.get(_LIBRARIES[name["engine"]])),
        ("ONNX Runtime", name["ort"], onnxruntime.version()),
    )
    for library, then, now in ours:
        if now is not None and then != now:
            return f"compiled with {library} {then}, {now} is installed"
    return None


def remove(folder: Path) -> int:
    """Remove it; return the bytes freed."""
    freed = size(folder)
    shutil.rmtree(folder)
    return freed
