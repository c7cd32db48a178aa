"""The engine cache: `BUNDLE DIGEST/model.fp16.sm89.b1-1-1.rtx` and beside it the same, `.json`.

An engine is tied to a bundle, a GPU architecture and a library's version, and can be built again,
so it never travels inside a bundle. The JSON file is written last and pins the engine's SHA-256:
an engine without one that fits was interrupted, and is none.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fmtool.errors import InputError
from runtime import atomic

SUFFIXES = {"rtx": ".rtx", "tensorrt": ".plan"}
"""By library: the file suffix of its engines."""

_SHORT = {"float32": "", "float16": ".fp16"}


@dataclass(frozen=True)
class Key:
    """What an engine was built from and for: where any of it differs, the engine is another.

    Attributes:
        bundle: the bundle's digest.
        library: "rtx" or "tensorrt".
        version: the library's.
        target: the GPU architecture, such as "sm89".
        precision: of the graph: "float32" or "float16".
        batches: the smallest, usual and largest batch.
    """

    bundle: str
    library: str
    version: str
    target: str
    precision: str
    batches: tuple[int, int, int]

    @property
    def name(self) -> str:
        """The engine's file name; a newer version of the library replaces an older one's engine."""
        batches = "-".join(map(str, self.batches))
        suffix = SUFFIXES[self.library]
        return f"model{_SHORT[self.precision]}.{self.target}.b{batches}{suffix}"


def default_folder() -> Path:
    """The user's cache folder for engines and for what was found out about them."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "fmtool" / "engines"


def claim(folder: Path) -> Path:
    """`folder`, made where it is missing.

    Raises:
        InputError: if it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the engine cache {folder} ({error.strerror}); name a folder that you may "
            "write to"
        ) from None
    return folder


def save(folder: Path, key: Key, engine: bytes, facts: Mapping[str, Any]) -> Path:
    """Write an engine and then its JSON, each in one step; an older one is replaced.

    Args:
        folder: the cache.
        key: what the engine is.
        engine: the serialised engine.
        facts: further entries of the JSON, such as the layers.

    Returns:
        The engine's path.

    Raises:
        InputError: if the cache cannot be written.
    """
    path = claim(folder / key.bundle) / key.name
    pinned = {"bytes": len(engine), "sha256": hashlib.sha256(engine).hexdigest()}
    content = {"key": asdict(key), **pinned, **facts}
    atomic.write_bytes(path, engine)
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    atomic.write_bytes(path.with_name(f"{path.name}.json"), text.encode())
    return path
