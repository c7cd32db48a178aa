"""What a scan is, whatever its name: the digest of its bytes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from fmtool.files import sha256
from runtime.scan.nifti import files_of

_TURBOPREP = ("normalized.nii.gz", "mask.nii.gz")
_PAIR = 2  # files


def content_digest(source: Path | Sequence[Path], of: Callable[[Path], str] = sha256) -> str:
    """The SHA-256, in hexadecimal, of a file's bytes; of several files, of their sorted digests.

    The names in a folder do not count: a series that was sent again under other names is the same.

    Args:
        source: a file, a folder, or the files of one scan.
        of: gives a file's SHA-256.

    Raises:
        OSError: if something of it cannot be read.
    """
    files = _files(source)
    if files == [source]:
        return of(files[0])
    members = sorted(of(file) for file in files)
    return hashlib.sha256("\n".join(members).encode()).hexdigest()


def content_digests(source: Path | Sequence[Path]) -> set[str]:
    """The content's digest, and each file's own where a scan is two files at most.

    Raises:
        OSError: if something of it cannot be read.
    """
    files = _files(source)
    alone = {sha256(file) for file in files} if len(files) <= _PAIR else set()
    return {content_digest(source), *alone}


def stat_digest(source: Path | Sequence[Path]) -> str:
    """A digest of what the file system says of a scan's files, which any change of them changes.

    Raises:
        OSError: if one does not exist.
    """
    said = []
    for file in _files(source):
        facts = file.stat()
        # The last one is the system's own: nobody sets it back after a file was changed or moved.
        times = f"{facts.st_mtime_ns} {facts.st_ctime_ns}"
        said.append(f"{facts.st_dev} {facts.st_ino} {facts.st_size} {times}")
    return hashlib.sha256("\n".join(sorted(said)).encode()).hexdigest()


def _files(source: Path | Sequence[Path]) -> list[Path]:
    """The files that a scan is read from; two that belong together are one scan, however named."""
    if not isinstance(source, Path):
        return list(source)
    folder = source if source.is_dir() else source.parent
    pair = [folder / name for name in _TURBOPREP]
    if source in (folder, pair[0]) and all(file.is_file() for file in pair):
        return pair
    return _walk(source) if source.is_dir() else files_of(source)


def _walk(folder: Path) -> list[Path]:
    found = []
    for place, _, names in os.walk(folder, onerror=_raise):
        found += [file for name in names if (file := Path(place, name)).is_file()]
    return found


def _raise(error: OSError) -> None:
    raise error
