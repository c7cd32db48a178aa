"""What a command names (files, folders, lists, BIDS data sets) as scans, in a stable order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from fmtool.errors import InputError
from runtime.scan import bids
from runtime.scan.dicom import find
from runtime.scan.dicom.gather import gather, is_study, studies
from runtime.scan.dicom.library import pydicom
from runtime.scan.nifti import ENDINGS, HEADERS, files_of

Source: TypeAlias = Path | tuple[Path, ...]
"""A file or folder, or the files of one DICOM study."""

LIST = ".txt"
_VOLUMES = (*ENDINGS, ".zip")
_PREPARED = "normalized.nii.gz"
_FREESURFER = ("rawavg.mgz", "orig.mgz", "nu.mgz", "T1.mgz")  # the least processed whole head first
_TEMPLATES = ("cvs_avg35", "fsaverage", *(f"fsaverage{n}" for n in ("3", "4", "5", "6", "_sym")))
_MAYBE_DICOM = ("", ".dcm", ".ima")


def named(paths: Sequence[Path]) -> list[Source]:
    """As `expand`, but a folder that holds DICOM is one scan: of its best-suited series.

    Raises:
        InputError: as `expand`.
        CapabilityError: if one is DICOM and pydicom is not installed.
    """
    found: list[Source] = []
    for source in gather(paths):
        if not isinstance(source, Path) or is_study(source):
            found.append(source)
            continue
        try:
            found += expand([source])
        except InputError:
            if len(paths) == 1 or not os.path.isdir(source):
                raise
            found.append(source)  # fails by itself, as a missing file does: the others go on
    return found


def expand(named: Sequence[Path]) -> list[Source]:
    """The scans, in the order named; within a folder, in the order of their paths.

    A `.txt` file lists a path per line, relative to its own folder; lines that begin with # do not
    count. A BIDS data set gives its native T1w and UNIT1 files, a FreeSurfer subject its least
    processed T1. Any other folder gives its NIfTI, MGH and zip files and those of its sub-folders,
    a sub-folder with TurboPrep's files or without any volume (a DICOM study, however deep) as one
    scan. A path that does not exist, a link to nothing, a folder that cannot be listed is a scan
    that will fail.

    Raises:
        InputError: if a folder or list holds no scan, or a list cannot be read.
        CapabilityError: if all is DICOM and pydicom is not installed.
    """
    found: list[Source] = []
    for source in studies(named):
        if isinstance(source, Path) and os.path.isdir(source):
            found += _folder(source)
        elif isinstance(source, Path) and source.suffix == LIST:
            for line in studies(_lines(source)):
                found += _folder(line) if isinstance(line, Path) and os.path.isdir(line) else [line]
        else:
            found.append(source)
    if all(_is_dicom(source) for source in found):
        pydicom()  # before minutes of work, not after
    return found


def _is_dicom(source: Source) -> bool:
    if not isinstance(source, Path):
        return True
    if os.path.isdir(source):
        return not os.path.exists(source / _PREPARED)
    return find.kind(source) is not None


def _folder(top: Path) -> list[Source]:
    if bids.is_dataset(top):
        scans = bids.heads(top)
        if not scans and not any(map(_freesurfer, top.glob("*"))):
            raise InputError(
                f"{top} is a BIDS data set without a T1w or UNIT1 image of its own space in "
                "sub-*/[ses-*/]anat; name the files themselves if they are elsewhere"
            )
        if scans:
            return [*scans]
    scans, _ = _look(top, top.resolve(), set(), True)
    if not scans:
        raise InputError(f"{top} holds no scan; name a folder with heads in it, or their files")
    return [*sorted(scans)]


def _look(
    folder: Path, top: Path, seen: set[Path], is_top: bool = False
) -> tuple[list[Path], bool]:
    """The scans of a folder, and if there are none, whether it is a DICOM study, however deep.

    Args:
        folder: to look into.
        top: what was named, its links resolved.
        seen: the linked folders that were entered, each once; grows.
        is_top: whether it was named itself: then what lies below it are scans of their own.
    """
    try:
        entries = sorted(Path(entry.path) for entry in os.scandir(folder) if entry.name[0] != ".")
    except OSError:
        return [folder], False  # reading it says why
    if os.path.isfile(folder / _PREPARED):
        return [folder], False
    if head := _freesurfer(folder):
        return [] if folder.name in _TEMPLATES else [head], False
    below = [path for path in entries if os.path.isdir(path)]
    files = [path for path in entries if not os.path.isdir(path)]
    volumes = [path for path in files if _is_volume(path)]
    own = not volumes and any(_is_slice(path) for path in files)
    deeper = [
        (p, *_look(p, top, seen)) for p in below if not p.is_symlink() or _leads(p, top, seen)
    ]
    scans = [scan for _, found, _ in deeper for scan in found]
    if own and (is_top or scans):
        return [folder], False
    if volumes or scans or is_top:
        return volumes + scans + [place for place, _, is_study in deeper if is_study], False
    return [], own or any(is_study for _, _, is_study in deeper)


def _leads(link: Path, top: Path, seen: set[Path]) -> bool:
    """Whether a link leads to a folder that is met in no other way; `seen` grows by it."""
    target = link.resolve()
    if target in seen or target.is_relative_to(top) or top.is_relative_to(target):
        return False
    seen.add(target)
    return True


def _freesurfer(folder: Path) -> Path | None:
    """The T1 of a FreeSurfer subject's folder, if it is one."""
    place = folder if folder.name == "mri" else folder / "mri"
    return next((place / n for n in _FREESURFER if os.path.lexists(place / n)), None)


def _is_volume(path: Path) -> bool:
    """By its name; a link to nothing, too, so that it fails aloud."""
    name = path.name.lower()
    if not name.endswith(_VOLUMES) or (os.path.exists(path) and not os.path.isfile(path)):
        return False
    return not name.endswith(HEADERS) or len(files_of(path)) == 2


def _is_slice(path: Path) -> bool:
    """Whether it is DICOM, or named as such and leads nowhere."""
    if find.kind(path) == "dicom":
        return True
    ending = path.suffix.lower()
    return not os.path.exists(path) and (ending in _MAYBE_DICOM or ending[1:].isdigit())


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
