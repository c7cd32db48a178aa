"""An engine from the cache, or built into it: by one process at a time, the others wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fmtool.errors import InputError
from runtime.engines.cache import store
from runtime.engines.cache.key import NAMES, Key

Say = Callable[[str], None]
Make = Callable[[], tuple[bytes, Mapping[str, Any]]]
"""Builds: the serialised engine, and what its JSON is to say of it."""


def ensure(folder: Path, key: Key, make: Make, say: Say) -> Path:
    """The engine `key`, from the cache if it is there and whole, else built and kept.

    Args:
        folder: the cache.
        key: what is wanted.
        make: called once if it has to be built, with the engine's lock held.
        say: told why it is built, and whether another process is doing it already.

    Raises:
        InputError: if the cache cannot be written.
    """
    try:
        return store.load(folder, key)
    except store.Unfit:
        pass
    path = store.claim(folder / key.bundle) / key.name
    with locked(path, say):
        try:
            return store.load(folder, key)  # what was waited for
        except store.Unfit as reason:
            first = isinstance(reason, store.MissingEngine)
            anew = "" if first else f" anew, as the one there is {reason}"
            say(f"Building the {NAMES[key.library]} engine for {key.target}{anew}")
        for left in leftovers(path):
            left.unlink(missing_ok=True)
        data, facts = make()
        return store.save(folder, key, data, facts)


@contextmanager
def locked(path: Path, say: Say) -> Iterator[None]:
    """Hold the lock of the engine `path`, having waited for who has it.

    The operating system holds it for the process, so that one that was killed holds none.

    Raises:
        InputError: if the folder cannot be written.
    """
    lock = FileLock(lock_of(path))
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"Another process is building {path.name}; waiting for it")
            lock.acquire()
    except OSError as error:
        raise InputError(
            f"cannot lock {path} ({error.strerror}); name an engine cache that you may write to"
        ) from None
    try:
        yield
    finally:
        lock.release()


def lock_of(path: Path) -> Path:
    """The lock's file; it stays, because removing it would let two processes in."""
    return path.with_name(f".{path.name}.lock")


def leftovers(path: Path) -> list[Path]:
    """What killed builds of the engine `path` left behind; ask with its lock held."""
    return sorted(path.parent.glob(f".{path.name}.*.tmp"))
