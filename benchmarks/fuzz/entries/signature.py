"""A bundle's signature and a site's public key: `fmtool.bundle.signing`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.fuzz.entry import Entry
from fmtool.bundle.signing import bundle as signature
from fmtool.bundle.signing import key_files, minisign
from fmtool.errors import BundleError

_KEY = minisign.PrivateKey(bytes(range(8)), bytes(range(32)))
_MANIFEST = b"{}"


def _trial(data: bytes, folder: Path) -> None:
    (folder / "site.pub").write_text(_KEY.public.text())
    (folder / "manifest.json").write_bytes(_MANIFEST)
    (folder / signature.SIGNATURE).write_bytes(data)
    keys = [key_files.read_public(folder / "site.pub")]
    try:
        signature.require(folder / "manifest.json", keys)
        assert minisign.signer(data.decode()) == _KEY.number
    except BundleError:
        (folder / "hostile.pub").write_bytes(data)
        key_files.read_public(folder / "hostile.pub")


def _seeds() -> list[bytes]:
    return [minisign.sign(_MANIFEST, _KEY, "made").encode(), _KEY.public.text().encode()]


ENTRY = Entry(_seeds, _trial, (b"untrusted comment: ", b"trusted comment: ", b"RUQ", b"=", b"\r\n"))
