"""Writing a bundle's folder: complete, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from fmtool import files
from fmtool.bundle import Bundle, open_unsigned, seal
from fmtool.bundle.format import FORMAT, MANIFEST, inside
from fmtool.bundle.manifest import FileFacts, Manifest
from fmtool.errors import BundleError
from fmtool.files import sha256


def claim(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """`path`, if a bundle may be written there: to be asked before minutes of work, not after.

    Raises:
        BundleError: if its name or its folder will not do, if it exists and `overwrite` is false,
            or if what exists is not a bundle.
    """
    target = Path(path)
    if target.suffix != ".fmtool":
        raise BundleError(f"a bundle's name ends in .fmtool, not {target.name!r}")
    try:
        if target.exists() and not overwrite:
            raise BundleError(f"{target} exists; name another bundle, or say --overwrite")
        if target.exists() and not (target / MANIFEST).is_file():
            raise BundleError(f"{target} is not a bundle and is left as it is")
        files.probe(target)
    except OSError as error:
        raise BundleError(
            f"cannot write {target} ({error.strerror}); name a place that you may write to"
        ) from None
    return target


def write(
    path: str | os.PathLike[str],
    manifest: Manifest,
    contents: dict[str, Path | bytes],
    overwrite: bool = False,
) -> Bundle:
    """Write a bundle's folder in one step: complete, or not at all.

    Args:
        path: the folder to make; its name ends in `.fmtool`.
        manifest: its `format` and `files` are filled in here.
        contents: name inside the bundle -> a file to copy, or its bytes.
        overwrite: replace a bundle that is already there.

    Raises:
        BundleError: if `path` cannot be written; see `claim`. What was there before stays.
    """
    target = claim(path, overwrite)
    with files.writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=files.SCRATCH, dir=target.parent) as scratch:
            staged = Path(scratch) / files.STAGED
            _fill(staged, manifest, contents)
            open_unsigned(staged)  # what is written must be readable before it replaces anything
            files.put(staged, target)
    return open_unsigned(target)


def _fill(staged: Path, manifest: Manifest, contents: dict[str, Path | bytes]) -> None:
    """Copy a bundle's files, then write the manifest: without it, the folder is no bundle."""
    listed = {}
    for name, content in sorted(contents.items()):
        file = staged / inside(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            shutil.copyfile(content, file)
        listed[name] = FileFacts(sha256(file), file.stat().st_size)
    whole = replace(manifest, format=FORMAT, files=listed)
    text = json.dumps(whole.to_dict(), indent=1, allow_nan=False)
    (staged / seal.FILE).write_bytes(seal.of(f"{text}\n".encode(), MANIFEST))
    (staged / MANIFEST).write_text(text + "\n", encoding="utf-8")
