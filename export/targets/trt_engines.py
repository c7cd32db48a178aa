"""A bundle's engines: built by the libraries that are there, and kept in the engine cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from export.targets.request import ExportRequest
from fmtool.bundle import Bundle
from fmtool.errors import CapabilityError, EngineError, UsageError
from runtime.engines.trt.bindings import LIBRARIES, load
from runtime.engines.trt.cached import Built, build_into, key_of


@dataclass
class EnginesBuilt:
    """What became of a request.

    Attributes:
        built: the engines.
        absent: sentences: what this machine lacks for the others, and how to get it.
        failed: sentences: the library was there, and could not do it.
    """

    built: list[Built] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def plan(self) -> Path | None:
        """TensorRT's engine, where one was built; of TensorRT-RTX's, Triton runs none."""
        return next((b.path for b in self.built if b.key.library == "tensorrt"), None)


def build_all(
    bundle: Bundle, request: ExportRequest, folder: Path, progress: Callable[[str], None]
) -> EnginesBuilt:
    """Build every engine of a request that can be built here; one that fails stops no other.

    Args:
        bundle: whose model to compile.
        request: by `export.targets.request.request`.
        folder: the engine cache.
        progress: told each step as it begins.

    Raises:
        InputError: if the cache cannot be written.
    """
    outcome = EnginesBuilt()
    for library in request.libraries:
        name = LIBRARIES[library].name
        try:
            load(library)
        except CapabilityError as error:
            outcome.absent.append(f"no {name} engine was built: {error}")
            continue
        for target in request.targets:
            try:
                key = key_of(bundle, library, request.precision, target, request.batches)
                outcome.built.append(build_into(bundle, key, folder, progress))
            except CapabilityError as error:
                outcome.absent.append(f"no {name} engine was built: {error}")
            except (EngineError, UsageError) as error:
                outcome.failed.append(str(error))
    if outcome.built and not request.asked:  # whichever library was there has served
        outcome.absent.clear()
    return outcome
