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
from contextlib import suppress
from pathlib import Path
from typing import Any

from fmtool.errors import InputError
from runtime.engines.cache.key import SUFFIXES, Key, serves
from runtime.system import atomic


class Unfit(Exception):
    """An engine that is not there or cannot be used; its text says why, as a sentence's end."""


class MissingEngine(Unfit):
    """An engine of which there is no trace."""


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
    content = {"key": key.to_dict(), **pinned, **facts}
    atomic.write_bytes(path, engine)
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    atomic.write_bytes(facts_of(path), text.encode())
    return path


def facts_of(path: Path) -> Path:
    """The JSON file of the engine `path`."""
    return path.with_name(f"{path.name}.json")


def kernels_of(path: Path) -> Path:
    """The file of the engine `path` for what its library compiled of it on the GPU."""
    return path.with_name(f"{path.name}.kernels")


def read(path: Path) -> dict[str, Any]:
    """The checked facts of an engine's file: "key" is a `Key`, the rest as `save` wrote it.

    Raises:
        Unfit: if a file is missing, cut short or altered, or is not of this format.
    """
    try:
        content = json.loads(facts_of(path).read_text(encoding="utf-8"))
        key = Key.from_dict(content["key"])
        size, pinned = int(content["bytes"]), str(content["sha256"])
    except FileNotFoundError:
        if path.is_file():
            raise Unfit("half-built: its build was interrupted") from None
        raise MissingEngine("missing") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unfit(f"damaged: its JSON does not read ({error})") from None
    try:
        found = path.stat().st_size
        if found != size:
            how = "truncated" if found < size else "too long"
            raise Unfit(f"{how}: {found} bytes, not {size}")
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise Unfit(f"not readable ({error.strerror})") from None
    if digest != pinned:
        raise Unfit("damaged: it does not match its SHA-256")
    if (path.parent.name, path.name) != (key.bundle, key.name):
        raise Unfit("damaged: its JSON describes another engine")
    return {**content, "key": key}


def load(folder: Path, key: Key) -> Path:
    """The engine that is what `key` says, checked byte for byte.

    Raises:
        Unfit: if it has to be built, and why.
    """
    path = folder / key.bundle / key.name
    why_not = serves(read(path)["key"], key)
    if why_not:
        raise Unfit(why_not)
    with suppress(OSError):  # a shared, read-only cache; `prune` then counts from the build
        os.utime(path)  # when it was last used
    return path


def find(folder: Path, key: Key) -> tuple[Path, Key]:
    """The engine that `key` asks for, or another of this bundle that serves as well, and its key.

    Such as one that was built elsewhere for this GPU's architecture.

    Raises:
        Unfit: if none does; why not the one of that name.
    """
    try:
        return load(folder, key), key
    except Unfit as reason:
        for other in sorted((folder / key.bundle).glob(f"*{SUFFIXES[key.library]}")):
            with suppress(Unfit):
                stored: Key = read(other)["key"]
                if serves(stored, key) is None:
                    return load(folder, stored), stored
        raise reason
