"""The seal of a manifest: its own SHA-256 beside it, as it holds that of every other file.

`sha256sum -c manifest.sha256` in the bundle's folder checks it too. A bundle of before has none,
and a signature, where one is required, says more.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from fmtool.errors import BundleError

FILE = "manifest.sha256"


def of(raw: bytes, name: str) -> bytes:
    """The seal's content for the bytes of a file called `name`."""
    return f"{hashlib.sha256(raw).hexdigest()}  {name}\n".encode()


def check(manifest: Path, raw: bytes) -> None:
    """Compare the bytes read from `manifest` with the seal beside it, if there is one.

    Raises:
        BundleError: if either was changed.
    """
    seal = manifest.with_name(FILE)
    expected = of(raw, manifest.name)
    if not seal.exists():
        return
    if seal.stat().st_size != len(expected) or seal.read_bytes() != expected:
        raise BundleError(
            f"bundle {manifest.parent} is damaged: {manifest.name} and {FILE} do not match; copy "
            "the bundle anew"
        )
