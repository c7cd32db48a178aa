"""Which preprocessing prepares a scan: what tells volumes made by other code from today's.

A release's number does not change while the code of a development checkout does, and a cohort
prepared in part by each would be two sites in one.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from fmtool.files import sha256
from runtime import preprocess, scan
from runtime.scan import dicom, geometry, nifti
from training.store import turboprep

_FOLDERS = (preprocess, dicom)
_READERS = (geometry, nifti, scan, turboprep)


@cache
def preparation() -> str:
    """SHA-256 over the source of the stages and of what reads a scan."""
    stages = [file for package in _FOLDERS for file in Path(package.__path__[0]).glob("*.py")]
    return digest(stages + [Path(str(module.__file__)) for module in _READERS])


def digest(files: list[Path]) -> str:
    """SHA-256 of files' names and contents, in whatever order they come."""
    listing = sorted(f"{file.name} {sha256(file)}" for file in files)
    return hashlib.sha256("\n".join(listing).encode()).hexdigest()
