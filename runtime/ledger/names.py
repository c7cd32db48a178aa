"""What a scan is called in ledger, log and results: as given, by a keyed hash, or not at all.

The key is the site's, in a file of its own: who has a ledger or a log but not the key can check no
guess, and the same name is the same hash everywhere at the site. It is a pseudonym and no more: who
has the key can try every number that a patient may have.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from enum import StrEnum
from pathlib import Path

from fmtool.errors import InputError
from fmtool.errors import shown as escaped
from fmtool.files import secret

FILE = "ledger.sqlite"
"""What a ledger is called in its folder."""


class Identifiers(StrEnum):
    """What becomes of a scan's path, which may name a patient."""

    keep = "keep"
    hash = "hash"
    drop = "drop"


KEY = "FMTOOL_NAMES_KEY"
"""The environment variable that names the file of the site's key: 16 characters or more."""

_SHORTEST, _LONGEST = 16, 4096


def site_key() -> bytes:
    """The site's key: of the file that `KEY` names, or else of one made at its first use.

    That is `fmtool/names.key` in XDG_CONFIG_HOME, or in ~/.config.

    Raises:
        InputError: if the file cannot be read or made, is open to others, or is too short.
    """
    named = os.environ.get(KEY)
    path = Path(named) if named else _config() / "fmtool" / "names.key"
    if not named and not path.exists():
        _make(path)
    remedy = "make one: (umask 077; openssl rand -hex 32 > FILE)"
    key = secret(path, _LONGEST, "the key of names", remedy).strip()
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise InputError(f"the key of names {path} has less than {_SHORTEST} characters; {remedy}")
    return key


def _config() -> Path:
    named = os.environ.get("XDG_CONFIG_HOME", "")
    return Path(named) if os.path.isabs(named) else Path(os.path.expanduser("~")) / ".config"


def _make(path: Path) -> None:
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="ascii") as stream:
            stream.write(f"{secrets.token_hex(32)}\n")
        os.link(scratch, path)  # which, unlike a rename, replaces nothing
    except FileExistsError:
        pass  # another process was faster: its key is the site's
    except OSError as error:
        raise InputError(
            f"cannot make the key of names {path} ({error.strerror}); name one by {KEY}"
        ) from None
    finally:
        scratch.unlink(missing_ok=True)


def pseudonym(name: str, key: bytes, digits: int) -> str:
    """The beginning of a name's HMAC-SHA-256, in hexadecimal."""
    digest = hmac.new(key, name.encode("utf-8", "surrogateescape"), hashlib.sha256)
    return digest.hexdigest()[:digits]


def source_name(source: str, identifiers: Identifiers, key: bytes) -> str:
    """The name that the ledger keeps; empty with `drop`.

    Args:
        source: the path as given.
        identifiers: what to do with it.
        key: see `site_key`.
    """
    if identifiers == Identifiers.keep:
        return source
    return f"scan-{pseudonym(source, key, 20)}" if identifiers == Identifiers.hash else ""


def shown(source: str, content: str | None, item: int) -> str:
    """What a result calls its scan: the kept name, or else the beginning of its digest."""
    return source or (f"content-{content[:20]}" if content else f"item-{item}")


def without_path(sentence: str, path: str, name: str) -> str:
    """A sentence about the scan at `path` that calls it `name`."""
    for said in (path, str(Path(path).absolute()), Path(path).name):
        if said:
            sentence = sentence.replace(said, name).replace(escaped(said), name)
    return sentence
