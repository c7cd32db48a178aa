"""A DICOM folder, zip, file or list of files to one volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import InputError
from fmtool.errors.advice import option
from runtime.scan import frame as places
from runtime.scan.dicom import acquisition, pixels, values
from runtime.scan.dicom.choose import SeriesChoice, choose
from runtime.scan.dicom.find import found
from runtime.scan.dicom.found import IS_OTHER, Found
from runtime.scan.dicom.frame import Frame
from runtime.scan.dicom.geometry import Stack, stack
from runtime.scan.dicom.library import pydicom
from runtime.scan.dicom.limits import Deadline
from runtime.scan.dicom.parse import header
from runtime.scan.dicom.parts import apart
from runtime.scan.dicom.series import IS_INDEX, Series, grouped
from runtime.scan.header import Header
from runtime.scan.nifti import ENDINGS

_STUDY = "StudyInstanceUID"
_EXPECTED = (IS_OTHER, IS_INDEX)  # left out without a word


@dataclass(frozen=True)
class Volume:
    """One series as a volume in its closest canonical (RAS+) order.

    Attributes:
        array: float32 (x, y, z), rescaled.
        affine: 4x4, voxel -> scanner RAS mm.
        facts: as `runtime.scan.Scan` has them, and "series", "other_series" and "files".
        stack: the slices that it was made of, in their own order.
    """

    array: NDArray[np.float32]
    affine: NDArray[np.float64]
    facts: dict[str, Any]
    stack: Stack


Fill = Callable[[str, NDArray[np.float32], Sequence[Frame]], str]
"""Decodes slices into a volume (columns, rows, slices), told what to call it; its number type."""


def called(source: Path | Sequence[Path]) -> str:
    """What a source is called in sentences and results: itself, or the folder of its files."""
    if isinstance(source, Path):
        return str(source)
    folders = {path.parent for path in source}
    return str(folders.pop()) if len(folders) == 1 else f"{source[0]} and {len(source) - 1} more"


def read(source: Path | Sequence[Path], series: str | None = None) -> Volume:
    """Find the files, choose a series, check its geometry, decode it.

    Args:
        source: a folder, a zip, a file, or the files themselves.
        series: a SeriesNumber or SeriesInstanceUID; the best-suited series if absent.

    Raises:
        InputError: if there is no such series or it cannot be used, saying why.
        CapabilityError: if pydicom or a plugin for the compression is not installed.
    """
    name = called(source)
    deadline = Deadline(name)
    with found(source, deadline) as held:
        if not held.items:
            raise InputError(_none(name, source, held))
        pydicom()
        every = grouped(held, deadline)
        if not every:
            raise InputError(f"{name} holds no DICOM file that can be used{_counted(held)}")

        def fill(about: str, array: NDArray[np.float32], frames: Sequence[Frame]) -> str:
            return pixels.fill(about, array, frames, held.items, deadline)

        made = assembled(name, every, fill, series, lambda: _left_out(held))
        lead = header(held.items[made.stack.frames[0].item], [_STUDY], deadline)
        made = replace(made, stack=replace(made.stack, study=values.text(lead, _STUDY)))
        made.facts["files"] = {"dicom": len(held.items), "left_out": dict(held.left_out)}
    return made


def assembled(
    name: str,
    held: Sequence[Series],
    fill: Fill,
    asked: str | None = None,
    remarks: Callable[[], list[str]] = list,
) -> Volume:
    """The best-suited of some series, or the one asked for, as a volume.

    Args:
        name: of the source, which begins each complaint.
        held: the series, whole, wherever they come from.
        fill: decodes slices.
        asked: as `read`.
        remarks: what else is to be said of the source, once it is read.

    Raises:
        InputError: if there is no such series or it cannot be used, saying why.
    """
    parts = [part for one in held for part in apart(one)]
    acquisition.tell(parts)
    choice = choose(name, parts, asked)
    chosen = choice.series
    about = f"{name}: {chosen.name}"
    if never := _never(chosen):
        raise InputError(f"{about} cannot be read: {never}")
    ordered = stack(about, chosen.frames)
    told = Header(
        ordered.shape,
        np.dtype(np.float32),
        0,
        1.0,
        0.0,
        _sizes(ordered.affine),
        "mm",
        {"dicom": ordered.affine},
    )
    place = places.locate(Path(name), told, assume_ras=False)
    order, flips, affine = places.to_canonical(ordered.affine, ordered.shape)
    array = np.empty([ordered.shape[axis] for axis in order], dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows, the caller refuses
        kind = fill(about, _stored(array, order, flips), ordered.frames)
    facts: dict[str, Any] = {
        "shape": list(array.shape),
        "spacing": [round(float(s), 4) for s in np.linalg.norm(affine[:3, :3], axis=0)],
        "dtype": kind,
        "orientation": place.orientation,
        "frame": place.source,
        "prepared": False,
        "warnings": [*_said(choice), *choice.warnings, *remarks(), *place.warnings],
        "series": {**_public(chosen), "chosen": choice.why},
        "other_series": [{**_public(s), "why_not": why} for s, why in choice.others],
    }
    return Volume(array, affine, facts, ordered)


def _stored(array: NDArray[np.float32], order: list[int], flips: list[bool]) -> NDArray[np.float32]:
    """`array` seen in the order in which the slices are stored."""
    turned = array[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    return turned.transpose(np.argsort(order))


def _sizes(affine: NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (float(s) for s in np.linalg.norm(affine[:3, :3], axis=0))
    return x, y, z


def _never(series: Series) -> str:
    """Why it cannot be read even if it is asked for."""
    if not series.frames:
        return "it holds no images"
    if series.modality != "MR":
        return f"it is {series.modality}; expected MR"
    if "MOSAIC" in series.about.image_type:
        return "it is a mosaic, as of BOLD or diffusion; expected one T1-weighted head"
    return f"{series.lacks}; send it again whole" if series.lacks else ""


def _public(series: Series) -> dict[str, Any]:
    """What may be told of a series: nothing that names a patient, a site or a day."""
    return {
        "number": series.number,
        "id": series.id,
        "modality": series.modality,
        "matrix": series.matrix,
    }


def _said(choice: SeriesChoice) -> list[str]:
    images = [s for s, _ in choice.others if s.frames]
    if not images:
        return []
    name = choice.series.name
    return [f"{name.capitalize()} was taken of {len(images) + 1} series: {choice.why}."]


def _left_out(held: Found) -> list[str]:
    counted = {kind: n for kind, n in held.left_out.items() if kind not in _EXPECTED}
    if not counted:
        return []
    listed = ", ".join(f"{n} {kind}" for kind, n in sorted(counted.items()))
    return [f"Some files were left out: {listed}."]


def _none(name: str, source: Path | Sequence[Path], held: Found) -> str:
    """What a folder or list without slices is, and what to do."""
    if isinstance(source, Path) and source.is_dir():
        volumes = sum(file.name.lower().endswith(ENDINGS) for file in source.rglob("*"))
        if volumes:
            return (
                f"{name} is a folder with {volumes} volume{'s'[: volumes > 1]} in it; name the "
                f"scan's own file{option(', or --out DIR for all of them')}"
            )
    archive = isinstance(source, Path) and source.is_file()
    what = "an archive without DICOM files" if archive else "a folder or list without a scan"
    return f"{name} is {what} in it{_counted(held)}; name the scan's own file"


def _counted(held: Found) -> str:
    listed = ", ".join(f"{n} {kind}" for kind, n in sorted(held.left_out.items()))
    return f" ({listed})" if listed else ""
