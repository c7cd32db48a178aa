"""A bundle's engines: built by the libraries that are there, and kept in the engine cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from export.targets import Request
from fmtool.bundle import Bundle
from fmtool.errors import CapabilityError, EngineError, UsageError
from runtime.engines import store
from runtime.engines.trt.bindings import LIBRARIES, load
from runtime.engines.trt.build import Plan, aim, build


@dataclass(frozen=True)
class Built:
    """An engine in the cache: its file, its key, its size and how long the library took."""

    path: Path
    key: store.Key
    bytes: int
    seconds: float


@dataclass
class Outcome:
    """What became of a request.

    Attributes:
        built: the engines.
        absent: sentences: what this machine lacks for the others, where the user asked for them.
        failed: sentences: the library was there, and could not do it.
    """

    built: list[Built] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def build_all(
    bundle: Bundle, request: Request, folder: Path, progress: Callable[[str], None]
) -> Outcome:
    """Build every engine of a request that can be built here; one that fails stops no other.

    Args:
        bundle: whose model to compile.
        request: by `export.targets.request`.
        folder: the engine cache.
        progress: told each step as it begins.

    Raises:
        InputError: if the cache cannot be written.
    """
    outcome = Outcome()
    for library in request.libraries:
        try:
            load(library)
        except CapabilityError as error:
            outcome.absent.append(f"no {LIBRARIES[library].name} engine was built: {error}")
            continue
        for target in request.targets:
            _build(bundle, request, library, target, folder, progress, outcome)
    if not request.asked:
        outcome.absent.clear()
    return outcome


def _build(
    bundle: Bundle,
    request: Request,
    library: str,
    target: str | None,
    folder: Path,
    progress: Callable[[str], None],
    outcome: Outcome,
) -> None:
    name = LIBRARIES[library].name
    try:
        target = aim(library, target)
        progress(f"Building the {name} engine for {target}")
        timings = store.claim(folder) / f"timings.{library}.{target}"
        began = time.perf_counter()
        model = bundle.model(request.precision)
        plan = build(model, library, target, request.batches, timing_cache=timings)
    except CapabilityError as error:
        outcome.absent.append(f"no {name} engine was built: {error}")
    except (EngineError, UsageError) as error:
        outcome.failed.append(str(error))
    else:
        seconds = round(time.perf_counter() - began, 3)
        outcome.built.append(_save(bundle, request, plan, folder, seconds))


def _save(bundle: Bundle, request: Request, plan: Plan, folder: Path, seconds: float) -> Built:
    key = store.Key(
        bundle.digest, plan.library, plan.version, plan.target, request.precision, request.batches
    )
    facts = {"seconds": seconds, "network": plan.network, "engine": plan.engine}
    return Built(store.save(folder, key, plan.data, facts), key, len(plan.data), seconds)
