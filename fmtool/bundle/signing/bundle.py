"""A bundle's signature: `manifest.json.minisig` beside the manifest, which pins every other file.

`minisign -Vm manifest.json -p KEY.pub` checks it too.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from fmtool.bundle import manifest as manifests
from fmtool.bundle.signing import minisign
from fmtool.bundle.signing.minisign import PrivateKey, PublicKey
from fmtool.errors import BundleError

SIGNATURE = "manifest.json.minisig"


def sign(manifest: Path, key: PrivateKey) -> Path:
    """Write a manifest's signature beside it: whole, or not at all; an older one is replaced.

    Raises:
        BundleError: if it cannot be written.
    """
    data = manifest.read_bytes()
    text = minisign.sign(data, key, f"fmtool bundle sha256:{hashlib.sha256(data).hexdigest()}")
    target = manifest.with_name(SIGNATURE)
    scratch = target.with_name(f".{SIGNATURE}.{secrets.token_hex(4)}.tmp")
    try:
        scratch.write_text(text, encoding="ascii")
        os.replace(scratch, target)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise BundleError(
            f"cannot write {target} ({error.strerror}); copy the bundle to a folder that you may "
            "write to"
        ) from None
    return target


def require(manifest: Path, keys: Sequence[PublicKey]) -> tuple[PublicKey, str]:
    """Which of `keys` has signed the manifest, and the manifest's SHA-256.

    Raises:
        BundleError: if none has.
        CapabilityError: if `cryptography` is not installed.
    """
    path = manifest.with_name(SIGNATURE)
    wanted = " or ".join(key.name for key in keys)
    if not path.is_file() or not manifest.is_file():
        raise BundleError(
            f"bundle {manifest.parent} is not signed, and a signature by {wanted} is required; "
            "have its maker sign it (`fmtool bundle sign`)"
        )
    if manifest.stat().st_size > manifests.MAX_BYTES:
        raise BundleError(f"{manifest} is larger than {manifests.MAX_BYTES >> 20} MiB: refused")
    data = manifest.read_bytes()
    try:
        with path.open("rb") as stream:
            text = stream.read(minisign.MOST_BYTES).decode("utf-8")
        number = minisign.signer(text)
        known = [key for key in keys if key.number == number]
        found = [key for key in known if minisign.verify(data, text, key)]
    except ValueError as error:
        raise BundleError(
            f"{path} cannot be read as a signature: {error}; copy the bundle anew"
        ) from None
    if not known:
        name = PublicKey(number, b"").name
        raise BundleError(
            f"bundle {manifest.parent} is signed by the key {name}, which is not trusted here; "
            f"required is {wanted}"
        )
    if not found:
        raise BundleError(
            f"bundle {manifest.parent} does not match its signature by {known[0].name}: it was "
            "changed after it was signed, or the signature is forged; do not use it"
        )
    return found[0], hashlib.sha256(data).hexdigest()
