"""What TensorRT-RTX compiles when an engine is loaded, kept beside the engine for the next start.

TensorRT-RTX finishes an engine on the GPU that runs it, which takes seconds; its runtime cache
holds the result. The library itself checks that a stored one fits the GPU, the driver and its own
version, and replaces one that does not. TensorRT has nothing left to compile.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from fmtool.errors import InputError
from runtime.engines.cache.store import kernels_of
from runtime.system import atomic

_log = logging.getLogger("fmtool.tensorrt")


class Kernels:
    """The runtime cache of one engine's execution context.

    Args:
        trt: the bindings.
        engine: loaded; its GPU is the current one.
        model: the engine's file.
    """

    def __init__(self, trt: Any, engine: Any, model: Path) -> None:
        self._file = kernels_of(model)
        self._cache: Any = None
        self._config: Any = None
        self._known = b""
        if not hasattr(trt, "IRuntimeCache"):
            return
        self._config = engine.create_runtime_config()
        self._cache = self._config.create_runtime_cache()
        stored = self._file.read_bytes() if self._file.is_file() else b""
        if stored and self._cache.deserialize(stored):
            self._known = stored
        if not self._config.set_runtime_cache(self._cache):
            _log.warning("%s: its compiled kernels are not kept", model.name)
            self._cache = None

    def context(self, engine: Any) -> Any:
        """An execution context that uses the cache; None if the library cannot make one."""
        if self._config is None:
            return engine.create_execution_context()
        return engine.create_execution_context(self._config)

    def keep(self) -> None:
        """Write what was compiled, if there is anything new; a folder that is read-only is fine."""
        if self._cache is None:
            return
        compiled = bytes(self._cache.serialize())
        if compiled == self._known:
            return
        try:
            atomic.write_bytes(self._file, compiled)
        except InputError as error:
            _log.info("the next start compiles again: %s", error)
        self._known = compiled
