"""A bundle's engines in the engine cache: which one is meant, and building it when it is absent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fmtool.bundle import Bundle
from runtime.engines import cuda
from runtime.engines.cache import store
from runtime.engines.cache.ensure import ensure
from runtime.engines.cache.key import Key
from runtime.engines.trt.bindings import LIBRARIES, Batches, check_target, load
from runtime.engines.trt.build import DEFAULT, aim, build
from runtime.engines.trt.configure import Options, check_options


@dataclass(frozen=True)
class Built:
    """An engine in the cache.

    Attributes:
        path: its file.
        key: what it is.
        bytes: its size.
        seconds: how long the library took, whenever that was.
    """

    path: Path
    key: Key
    bytes: int
    seconds: float


def key_of(
    bundle: Bundle,
    library: str,
    precision: str,
    target: str | None = None,
    batches: Batches = (1, 1, 1),
    options: Options = DEFAULT,
    number: int = 0,
) -> Key:
    """The key of the engine to use; of the GPU at hand, with its name and driver.

    Args:
        bundle: whose model.
        library: "rtx" or "tensorrt".
        precision: of the bundle's graph.
        target: the GPU architecture, "sm89"; that of the GPU at hand when absent.
        batches: smallest, usual and largest.
        options: of the builder.
        number: the GPU at hand.

    Raises:
        UsageError: for a target or an option that the library does not know, or a precision that
            it does not compile for the target.
        CapabilityError: if the library or a GPU to build for is missing.
    """
    check_options(library, options)
    trt = load(library)
    # One that is built on a GPU is measured on it; one for a named architecture is for any such.
    here = target is None or not LIBRARIES[library].builds_for
    aimed = aim(library, target, number)
    check_target(library, aimed, precision)
    return Key(
        bundle.digest,
        library,
        trt.__version__,
        aimed,
        precision,
        batches,
        cuda.name(number) if here else None,
        cuda.driver() if here else None,
        options.hardware_compatible,
        options.version_compatible,
    )


def build_into(
    bundle: Bundle,
    key: Key,
    folder: Path,
    say: Callable[[str], None],
    workspace: int | None = None,
    number: int = 0,
) -> Built:
    """The engine `key` of the bundle's model: from the cache, or built into it.

    Raises:
        BundleError: if the bundle has no model of that precision.
        EngineError: if the library cannot read or compile the model.
        InputError: if the cache cannot be written.
    """
    model = bundle.graph(key.precision)

    def make() -> tuple[bytes, dict[str, object]]:
        began = time.perf_counter()
        options = Options(workspace, key.hardware_compatible, key.version_compatible)
        timings = folder / f"timings.{key.library}.{key.target}"
        plan = build(model, key.library, key.target, key.batches, options, timings, number)
        seconds = round(time.perf_counter() - began, 3)
        facts = {"name": bundle.name, "seconds": seconds}
        return plan.data, {**facts, "network": plan.network, "engine": plan.engine}

    path = ensure(folder, key, make, say)
    facts = store.read(path)
    return Built(path, key, facts["bytes"], facts["seconds"])
