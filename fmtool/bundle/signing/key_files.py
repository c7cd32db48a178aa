"""Key files: made for their owner alone, refused when others can read them, never half written."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fmtool.bundle.signing import minisign
from fmtool.bundle.signing.minisign import PrivateKey, PublicKey
from fmtool.errors import InputError
from fmtool.files import open_regular, secret

SUFFIX = ".pub"
TRUSTED = "FMTOOL_TRUSTED_KEYS"
"""The environment variable that names a public key, or a folder of them: once it is set, every
bundle that is opened must be signed by one of them."""


def generate(path: Path) -> PublicKey:
    """Write a new private key to `path`, readable by its owner alone, and its public one beside it.

    Raises:
        InputError: if either file is there already or cannot be written; then neither is left.
        CapabilityError: if `cryptography` is not installed.
    """
    public_path = path.with_name(path.name + SUFFIX)
    key = minisign.generate()
    public = key.public
    for file in (path, public_path):
        if os.path.lexists(file):
            raise InputError(f"{file} exists and is left as it is; name another file")
    with _written(path, key.text(), 0o600), _written(public_path, public.text(), 0o644):
        return public


def read_private(path: Path) -> PrivateKey:
    """The private key in a file.

    Raises:
        InputError: if it cannot be read, is open to others, or holds none.
        CapabilityError: if `cryptography` is not installed.
    """
    remedy = "`fmtool bundle keygen` makes one"
    raw = secret(path, minisign.MOST_BYTES, "the private key", remedy)
    try:
        return minisign.read_private(raw.decode("ascii", "replace"))
    except ValueError as error:
        raise InputError(f"{path} cannot be used as a private key: {error}; {remedy}") from None


def read_public(path: Path) -> PublicKey:
    """The public key in a file.

    Raises:
        InputError: if it cannot be read or holds none.
    """
    try:
        return minisign.read_public(_read(path))
    except ValueError as error:
        raise InputError(
            f"{path} cannot be used as a public key: {error}; name the file that ends in {SUFFIX}"
        ) from None


def trusted() -> list[PublicKey] | None:
    """The keys of whose signatures one is required; None where none is.

    Raises:
        InputError: if `TRUSTED` is set and names no usable key: then nothing can be trusted.
    """
    named = os.environ.get(TRUSTED)
    if named is None:
        return None
    place = Path(named)
    files = sorted(place.glob(f"*{SUFFIX}")) if place.is_dir() else [place]
    if not named or not files:
        raise InputError(
            f"{TRUSTED} is {named!r}, where there is no public key; name a file that ends in "
            f"{SUFFIX} or a folder of them, or unset it"
        )
    return [read_public(file) for file in files]


def _read(path: Path) -> str:
    """The text of a small regular file that others may not change; never waits for a pipe."""
    try:
        with open_regular(path) as stream:
            mode = os.fstat(stream.fileno()).st_mode
            raw = stream.read(minisign.MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"the key {path} cannot be read ({error.strerror}); check it") from None
    if mode & stat.S_IWOTH:
        raise InputError(f"everybody may change the key {path}; chmod 644 it, and look into it")
    return raw.decode("ascii", "replace")


@contextmanager
def _written(path: Path, text: str, mode: int) -> Iterator[None]:
    """A new file, whole and on disk; gone again if the block fails."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(handle, "w", encoding="ascii") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(scratch, path)  # which, unlike a rename, replaces nothing
    except OSError as error:
        raise InputError(
            f"cannot write {path} ({error.strerror}); name a folder that you may write to"
        ) from None
    finally:
        scratch.unlink(missing_ok=True)
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise
