"""What the engine cache holds: engines and providers' folders, with their state here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from runtime.engines import cuda
from runtime.engines.cache import store
from runtime.engines.cache.key import Key, serves
from runtime.engines.onnxruntime import folder as provider_folder

_OURS = re.compile(
    r"\.?(?P<engine>model[a-z0-9.-]*\.b\d+-\d+-\d+\.(?:rtx|plan))"
    r"(?:\.json|\.kernels)?(?:\.[0-9a-f-]+\.[0-9a-f]{8}\.tmp|\.lock)?"
)

Versions = Mapping[str, str | None]
"""By library: the installed version; None where it is not installed."""


@dataclass(frozen=True)
class CachedEngine:
    """An engine in the cache, whole or not, or the folder of one of ONNX Runtime's providers.

    Attributes:
        path: the engine's file, or the folder.
        state: "ok", "damaged", or "stale" for one that would be built anew here.
        reason: why it is not ok; "" if it is.
        key: what it is; None if that cannot be read, and for a folder, whose name says it.
        bundle: the name of its bundle; None if that is not known.
        bytes: its size.
        used: when it was built or last loaded, in seconds since 1970.
    """

    path: Path
    state: str
    reason: str
    key: Key | None
    bundle: str | None
    bytes: int
    used: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON prints it."""
        key = self.key.to_dict() if self.key else {"bundle": self.path.parent.name}
        more = {"path": str(self.path), "state": self.state, "reason": self.reason}
        return {"name": self.bundle, **key, "bytes": self.bytes, "used": self.used, **more}


def inventory(folder: Path, versions: Versions) -> list[CachedEngine]:
    """Every engine in the cache, by bundle and name, then every provider's folder.

    Each engine is read once and its SHA-256 checked.
    """
    items = [examine(path, versions) for path in engines(folder) if exists(path)]
    return items + [_examine_folder(path, versions) for path in provider_folder.folders(folder)]


def _examine_folder(path: Path, versions: Versions) -> CachedEngine:
    reason = provider_folder.stale(path, versions)
    size, used = provider_folder.size(path), path.stat().st_mtime
    return CachedEngine(path, "stale" if reason else "ok", reason or "", None, None, size, used)


def engines(folder: Path) -> list[Path]:
    """Every engine that any file of fmtool's in the cache belongs to, be it only its lock."""
    matches = ((file, _OURS.fullmatch(file.name)) for file in folder.glob("*/*"))
    return sorted({file.with_name(match["engine"]) for file, match in matches if match})


def exists(path: Path) -> bool:
    """Whether there is anything of the engine `path` that could be taken for it."""
    return path.exists() or store.facts_of(path).exists()


def examine(path: Path, versions: Versions) -> CachedEngine:
    """The state of one engine; one whose library is not installed cannot be stale."""
    there = [file.stat() for file in (path, store.facts_of(path)) if file.exists()]
    size = path.stat().st_size if path.exists() else 0
    used = max((facts.st_mtime for facts in there), default=0.0)
    try:
        facts = store.read(path)
    except store.Unfit as error:
        return CachedEngine(path, "damaged", str(error), None, None, size, used)
    key: Key = facts["key"]
    here = replace(key, version=versions.get(key.library) or key.version)
    if key.gpu in takewhile(bool, map(cuda.name, count())):  # else nothing is known of its driver
        here = replace(here, driver=cuda.driver())
    reason = serves(key, here)
    state = "stale" if reason else "ok"
    return CachedEngine(path, state, reason or "", key, facts.get("name"), size, used)
