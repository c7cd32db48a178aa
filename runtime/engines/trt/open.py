"""A bundle's engine for the GPU at hand: found in the engine cache or built, and loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fmtool.bundle import Bundle
from fmtool.environment import caches
from fmtool.errors import CapabilityError
from runtime.engines import cuda
from runtime.engines.cache import store
from runtime.engines.cache.key import NAMES

if TYPE_CHECKING:
    from runtime.engines.trt.run import TensorRTEngine


def open_cached(
    bundle: Bundle,
    library: str,
    device: str,
    precision: str,
    folder: Path | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> TensorRTEngine:
    """The bundle's model on a GPU, by its engine for batch 1; the caller closes it.

    Args:
        bundle: whose model.
        library: "tensorrt" or "rtx".
        device: "cuda" (the first GPU) or "cuda:N".
        precision: of the bundle's graph: "float32", "float16" or "int8".
        folder: the engine cache; the user's when absent.
        say: told when and why the engine is built, and when another process is waited for.

    Raises:
        CapabilityError: if the library, cuda-bindings or the GPU is missing.
        BundleError: if the bundle has no model of that precision.
        EngineError: if the engine cannot be built or loaded.
        InputError: if the cache cannot be written.
    """
    from runtime.engines.trt import cached, driver
    from runtime.engines.trt.run import TensorRTEngine

    number = cuda.index(device)
    missing = cuda.missing(number)
    if missing:
        raise CapabilityError(f"{NAMES[library]} runs on an NVIDIA GPU only: {missing}")
    wanted = cached.key_of(bundle, library, precision, number=number)
    driver.load()  # before minutes of building, not after
    folder = folder or caches.folder("engines")
    try:
        path, key = store.find(folder, wanted)
    except store.Unfit:
        path, key = cached.build_into(bundle, wanted, folder, say, number=number).path, wanted
    return TensorRTEngine(path, device, precision, library, key.version_compatible)
