"""Clearing the engine cache of what is of no use; what fmtool did not name is not touched."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from runtime.engines.cache import store
from runtime.engines.cache.ensure import leftovers, lock_of
from runtime.engines.cache.inventory import Versions, engines, examine, exists, inventory
from runtime.engines.onnxruntime import folder as provider_folder

Tell = Callable[[Path, str], None]
_DAY = 86400.0


def prune(
    folder: Path,
    versions: Versions,
    tell: Tell,
    older_than: float | None = None,
    everything: bool = False,
) -> int:
    """Remove what is damaged or stale and what killed builds left; return the bytes freed.

    An engine that a process is building is left alone.

    Args:
        folder: the cache.
        versions: of the libraries installed here.
        tell: each engine or folder of which something was removed, or that is left alone; why.
        older_than: also remove the engines of bundles of which none was used for as many days.
        everything: remove every engine and folder, and TensorRT's measurements.
    """
    used: dict[Path, float] = {}
    for item in inventory(folder, versions):
        used[item.path.parent] = max(item.used, used.get(item.path.parent, 0.0))

    def of_any(path: Path) -> str | None:
        if everything:
            return "removed with all others"
        idle = (time.time() - used.get(path.parent, time.time())) / _DAY
        if older_than is not None and idle > older_than:
            return f"its bundle was not used for {idle:.0f} days"
        return None

    def verdict(path: Path) -> str | None:
        if not everything and not exists(path):
            return None
        return of_any(path) or examine(path, versions).reason or None

    freed = 0
    for path in engines(folder):
        if verdict(path) is None and not leftovers(path):
            continue
        lock = FileLock(lock_of(path))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            tell(path, "left alone: a process is building it")
            continue
        try:  # only now it stays as it is looked at
            freed += _remove(path, verdict(path), tell)
        finally:
            lock.release()
        with suppress(OSError):  # there is more in it
            path.parent.rmdir()
    for path in provider_folder.folders(folder):
        if why := of_any(path) or provider_folder.stale(path, versions):
            freed += provider_folder.remove(path)
            tell(path, why)
            with suppress(OSError):  # there is more in it
                path.parent.rmdir()
    for file in folder.glob("timings.*.sm*") if everything else ():
        freed += file.stat().st_size
        file.unlink()
        tell(file, "removed with all others")
    return freed


def _remove(path: Path, why: str | None, tell: Tell) -> int:
    doomed = leftovers(path)
    if why:
        whole = (path, store.facts_of(path), store.kernels_of(path), lock_of(path))
        doomed += [file for file in whole if file.exists()]
    freed = sum(file.stat().st_size for file in doomed)
    for file in doomed:
        file.unlink()
    if doomed:
        tell(path, why or "left by a build that was killed")
    return freed
