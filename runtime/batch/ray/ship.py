"""A bundle on its way to the nodes: one run of bytes, unpacked once per node and verified there."""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from fmtool import bundle as bundles
from fmtool import files
from fmtool.bundle import MANIFEST, Bundle, seal
from fmtool.bundle.signing.bundle import SIGNATURE
from fmtool.errors import BundleError


def pack(bundle: Bundle) -> bytes:
    """A bundle's files in an uncompressed zip: what its manifest lists, its seal, its signature."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in (MANIFEST, seal.FILE, SIGNATURE):
            if (bundle.path / name).is_file():
                archive.write(bundle.path / name, name)
        for name in bundle.manifest.files:
            archive.writestr(name, bundle.read(name))
    return stream.getvalue()


def unpacked(digest: str, fetch: Callable[[], bytes], cache: Path) -> Bundle:
    """The bundle of this digest from the cache, every file of it verified.

    Args:
        digest: see `Bundle`.
        fetch: called for `pack`'s bytes if the cache lacks it, or holds a damaged one.
        cache: a folder, made if it is absent; several processes may ask at once.

    Raises:
        BundleError: if the cache cannot be written, or what was fetched is another bundle.
    """
    target = cache / f"{digest}.fmtool"
    with files.writing(target):
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{digest}.lock"):
            return _held(target, digest) or _fetched(target, digest, fetch)


def _held(target: Path, digest: str) -> Bundle | None:
    try:
        bundle = bundles.open(target)
    except BundleError:  # it is not there, or was damaged: it is fetched anew, and verified again
        return None
    return bundle if bundle.digest == digest else None


def _fetched(target: Path, digest: str, fetch: Callable[[], bytes]) -> Bundle:
    with tempfile.TemporaryDirectory(prefix=files.SCRATCH, dir=target.parent) as scratch:
        zipped = Path(scratch) / "sent.zip"
        zipped.write_bytes(fetch())
        with bundles.open(zipped) as sent:
            if sent.digest != digest:
                raise BundleError(f"the bundle that was sent is {sent.digest}, not {digest}")
            staged = Path(scratch) / files.STAGED
            shutil.copytree(sent.path, staged)
        files.put(staged, target)
    return bundles.open(target)
