"""A command line's files: the DICOM files of one study are one scan, every other path its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fmtool.errors import FmtoolError
from runtime.scan.dicom import find, values
from runtime.scan.dicom.library import pydicom
from runtime.scan.dicom.limits import Deadline
from runtime.scan.dicom.parse import header


def gather(paths: Sequence[Path]) -> list[Path | tuple[Path, ...]]:
    """The scans that `paths` name, in the order of their first files.

    Raises:
        CapabilityError: if one is DICOM and pydicom is not installed.
    """
    if any(find.kind(path) or is_study(path) for path in paths):
        pydicom()  # before minutes of work, not after
    return studies(paths)


def studies(paths: Sequence[Path]) -> list[Path | tuple[Path, ...]]:
    """As `gather`, but pydicom is needed only where several files are DICOM."""
    slices = {path for path in dict.fromkeys(paths) if find.kind(path) == "dicom"}
    if len(slices) < 2:
        return list(paths)
    deadline = Deadline("the list of files")
    studies: dict[str, list[Path]] = {}
    scans: list[Path | list[Path]] = []
    for path in paths:
        study = _study(path, deadline) if path in slices else None
        if study is None:  # no DICOM, or damaged, which its reading will say
            scans.append(path)
        elif study in studies:
            studies[study].append(path)
        else:
            studies[study] = [path]
            scans.append(studies[study])
    return [scan if isinstance(scan, Path) else _one(scan) for scan in scans]


def is_study(path: Path) -> bool:
    """A folder that is not TurboPrep's and holds DICOM."""
    if not path.is_dir() or (path / "normalized.nii.gz").exists():
        return False
    return any(find.kind(file) == "dicom" for file in path.rglob("*"))


def _study(path: Path, deadline: Deadline) -> str | None:
    try:
        with find.found(path, deadline) as held:
            keyword = "StudyInstanceUID"
            return values.text(header(held.items[0], [keyword], deadline), keyword)
    except FmtoolError:
        raise
    except Exception:  # pydicom raises nearly every kind for a damaged file
        return None


def _one(files: list[Path]) -> Path | tuple[Path, ...]:
    return files[0] if len(files) == 1 else tuple(files)
