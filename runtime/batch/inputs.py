"""What a command names (files, folders, lists, BIDS data sets) as scans, in a stable order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from fmtool.errors import InputError
from runtime.scan.dicom import find
from runtime.scan.dicom.gather import gather

Source: TypeAlias = Path | tuple[Path, ...]
"""A file or folder, or the files of one DICOM study."""

LIST = ".txt"
_VOLUMES = (".nii", ".nii.gz", ".mgz", ".mgh", ".zip")
_PREPARED = "normalized.nii.gz"
_BIDS_MARKS = ("dataset_description.json", "participants.tsv")
_BIDS_T1W = ("sub-*/anat/*_T1w.nii*", "sub-*/ses-*/anat/*_T1w.nii*")


def expand(named: Sequence[Path]) -> list[Source]:
    """The scans, in the order named; within a folder, in the order of their paths.

    A `.txt` file lists a path per line, relative to its own folder; lines that begin with # do not
    count. A BIDS data set gives its T1w files. Any other folder gives its NIfTI, MGH and zip files
    and those of its sub-folders, a sub-folder with TurboPrep's files or without any volume (a DICOM
    study, however deep) as one scan. A path that does not exist is a scan that will fail.

    Raises:
        InputError: if a folder or list holds no scan, or a list cannot be read.
        CapabilityError: if several files are DICOM and pydicom is not installed.
    """
    found: list[Source] = []
    for source in gather(named):
        if isinstance(source, Path) and source.is_dir():
            found += _folder(source)
        elif isinstance(source, Path) and source.suffix == LIST:
            for line in gather(_lines(source)):
                found += _folder(line) if isinstance(line, Path) and line.is_dir() else [line]
        else:
            found.append(source)
    return found


def _folder(top: Path) -> list[Source]:
    scans = []
    if any((top / mark).is_file() for mark in _BIDS_MARKS):
        scans = [file for pattern in _BIDS_T1W for file in top.glob(pattern) if _is_volume(file)]
    scans = scans or _walk(top)
    if not scans:
        raise InputError(f"{top} holds no scan; name a folder with NIfTI, MGH or DICOM files in it")
    return [*sorted(scans)]


def _walk(top: Path) -> list[Path]:
    """The scans of a folder that was named: itself, if its own files are one scan."""
    if (top / _PREPARED).is_file():
        return [top]
    entries = [path for path in sorted(top.iterdir()) if not path.name.startswith(".")]
    found = [path for path in entries if path.is_file() and _is_volume(path)]
    if not found and any(find.kind(path) == "dicom" for path in entries if path.is_file()):
        return [top]
    for folder in (path for path in entries if path.is_dir() and not path.is_symlink()):
        if _holds_volumes(folder):
            found += _walk(folder)
        elif _holds_dicom(folder):
            found.append(folder)
    return found


def _holds_volumes(folder: Path) -> bool:
    return any(_is_volume(path) for path in folder.rglob("*"))


def _holds_dicom(folder: Path) -> bool:
    return any(find.kind(path) == "dicom" for path in folder.rglob("*") if path.is_file())


def _is_volume(path: Path) -> bool:
    return path.name.endswith(_VOLUMES) and not path.name.startswith(".") and path.is_file()


def _lines(path: Path) -> list[Path]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check it") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a list: it is no UTF-8 text") from None
    lines = [line.strip() for line in text.splitlines()]
    paths = [path.parent / line for line in lines if line and not line.startswith("#")]
    if not paths:
        raise InputError(f"{path} lists no scan; write a path per line")
    return paths
