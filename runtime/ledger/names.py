"""What a scan is called in the ledger and in the results: as given, by a hash, or not at all."""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum
from pathlib import Path

from fmtool.errors import shown as escaped

FILE = "ledger.sqlite"
"""What a ledger is called in its folder."""


class Identifiers(StrEnum):
    """What becomes of a scan's path, which may name a patient."""

    keep = "keep"
    hash = "hash"
    drop = "drop"


def source_name(source: str, identifiers: Identifiers, salt: str) -> str:
    """The name that the ledger keeps; empty with `drop`.

    Args:
        source: the path as given.
        identifiers: what to do with it.
        salt: of this ledger, so that two ledgers' hashes cannot be matched. Whoever has the ledger
            and guesses a path can still check the guess.
    """
    if identifiers == Identifiers.keep:
        return source
    if identifiers == Identifiers.drop:
        return ""
    digest = hmac.new(salt.encode(), source.encode("utf-8", "surrogateescape"), hashlib.sha256)
    return f"scan-{digest.hexdigest()[:20]}"


def shown(source: str, content: str | None, item: int) -> str:
    """What a result calls its scan: the kept name, or else the beginning of its digest."""
    return source or (f"content-{content[:20]}" if content else f"item-{item}")


def without_path(sentence: str, path: str, name: str) -> str:
    """A sentence about the scan at `path` that calls it `name`."""
    for said in (path, str(Path(path).absolute()), Path(path).name):
        if said:
            sentence = sentence.replace(said, name).replace(escaped(said), name)
    return sentence
