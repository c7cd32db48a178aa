"""Scan: what the scanner gave, in its own space, with its affine.

`read` takes a raw head of any orientation, voxel size and number type, a DICOM series, or
TurboPrep's files. No patient identifier of the header (name, description, database name, auxiliary
file) goes any further.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from fmtool import space
from fmtool.errors import InputError
from runtime.scan import frame, nifti
from runtime.scan.dicom import find, volume
from runtime.scan.dicom.geometry import Stack
from runtime.scan.header import Header, times

PREPARED = "normalized.nii.gz"
"""TurboPrep's volume."""

_MASK = "mask.nii.gz"
_BLOCK = 16  # slices converted at a time: what is read and what is written both fit the cache
_AROUND = 0.75  # of the outermost voxels: with fewer, something is missing


@dataclass
class Scan:
    """One 3D volume in its closest canonical (RAS+) voxel order.

    Attributes:
        array: float32 (x, y, z), intensities as scaled by the header.
        affine: 4x4, voxel (x, y, z) -> scanner RAS mm.
        path: where it came from; None for an array.
        mask: a brain mask on the same grid when the input came with one (TurboPrep), else None.
        facts: what the header and the read said: "shape" and "spacing" (mm) of `array`; "dtype",
            "orientation" (as stored); "frame" ("sform", "qform", "mgh", "dicom" or "assumed");
            "prepared" (True for TurboPrep's files); "warnings" (sentences); of DICOM also
            "series" (the one taken, and why), "other_series", "files" (how many, and what was
            left out).
        stored: 4x4, voxel in the file's own order -> scanner RAS mm; None where there is no such
            order (DICOM, an array).
        itk: 4x4, scanner RAS mm -> the RAS mm in which ITK, and so ANTs and 3D Slicer, see the same
            voxel of the file; None where they read no frame from it.
        stack: of DICOM, the slices that it was read from.
    """

    array: NDArray[np.float32]
    affine: NDArray[np.float64]
    path: Path | None = None
    mask: NDArray[np.bool_] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    stored: NDArray[np.float64] | None = None
    itk: NDArray[np.float64] | None = field(default_factory=lambda: np.eye(4))
    stack: Stack | None = None

    def refused(self, why: str) -> str:
        """A refusal's sentence, and what was said of the header, which may be the cause."""
        return " ".join([why if why.endswith(".") else f"{why}.", *self.facts.get("warnings", [])])


Source: TypeAlias = str | PathLike[str] | Sequence[Path]
"""What `read` takes: a path, or the DICOM files of one study."""


def read(path: Source, assume_ras: bool = False, series: str | None = None) -> Scan:
    """Read a whole-head T1-weighted volume, or a volume that TurboPrep has prepared.

    Args:
        path: a NIfTI or MGH file, compressed or not, or either one of a .hdr/.img pair; a DICOM
            series as a folder, a zip, a multi-frame file or a list of files; for TurboPrep, the
            folder that holds `normalized.nii.gz` and `mask.nii.gz`, or the former with the latter
            beside it.
        assume_ras: read a file without an orientation as RAS instead of refusing it.
        series: of DICOM, the SeriesNumber or SeriesInstanceUID of the series to read; the
            best-suited one if absent.

    Raises:
        InputError: if the file cannot be used, saying why and what to do.
        CapabilityError: if it is DICOM and pydicom, or what decodes it, is not installed; or if
            it is a .zst file and nothing unpacks it.

    Example:
        >>> from runtime import scan
        >>> head = scan.read("head.nii.gz")
        >>> head.array.dtype, head.affine.shape, head.facts["frame"]
        (dtype('float32'), (4, 4), 'sform')
    """
    if not isinstance(path, str | PathLike):
        return checked(_dicom(path, series))
    source = Path(path)
    if os.path.isdir(source):
        try:
            os.scandir(source).close()
        except OSError as error:
            raise InputError(f"{source} cannot be read ({error.strerror}); check it") from None
        if not (source / PREPARED).exists():
            return checked(_dicom(source, series))
        if not (source / _MASK).exists():
            raise InputError(f"{source} holds {PREPARED} but no {_MASK}; add the brain mask")
        return read_prepared(source / PREPARED, source / _MASK)
    if source.name == PREPARED and (source.parent / _MASK).exists():
        return read_prepared(source, source.parent / _MASK)
    if find.kind(source):
        return checked(_dicom(source, series))
    return checked(_volume(source, assume_ras))


def called(source: Source) -> str:
    """What a source is called in sentences and results."""
    return str(source) if isinstance(source, str | PathLike) else volume.called(source)


def stem(name: str) -> str:
    """A scan's file name without its ending."""
    endings = [e for e in (*nifti.ENDINGS, ".zip", ".dcm") if name.lower().endswith(e)]
    return name[: len(name) - max(map(len, endings), default=0)]


def checked(scan: Scan) -> Scan:
    """The scan, if there is an image in it."""
    low, high = _range(scan.path or Path("array"), scan.array)
    if low == high:
        raise InputError(
            f"{scan.path} holds the value {low:g} in every voxel: there is no image in it"
        )
    return scan


def _dicom(source: Path | Sequence[Path], series: str | None) -> Scan:
    found = volume.read(source, series)
    path = Path(volume.called(source))
    return Scan(found.array, found.affine, path, None, found.facts, stack=found.stack)


def _volume(path: Path, assume_ras: bool = False) -> Scan:
    header, data = nifti.read(path)
    place = frame.locate(path, header, assume_ras)
    order, flips, affine = frame.to_canonical(place.affine, header.shape)
    array = _canonical(data, header, order, flips)
    remarks = _without_nan(array)
    facts: dict[str, Any] = {
        "shape": list(array.shape),
        "spacing": [round(float(s), 4) for s in np.linalg.norm(affine[:3, :3], axis=0)],
        "dtype": header.dtype.newbyteorder("=").name,
        "orientation": place.orientation,
        "frame": place.source,
        "prepared": False,
        "warnings": [*place.warnings, *remarks],
    }
    return Scan(array, affine, path, None, facts, place.affine, place.itk)


def _canonical(
    data: NDArray[Any], header: Header, order: list[int], flips: list[bool]
) -> NDArray[np.float32]:
    """The voxels as scaled float32 in C order, reordered in the same pass."""
    stored = data.transpose(order)[tuple(slice(None, None, -1 if f else 1) for f in flips)]
    array: NDArray[np.float32] = np.empty(stored.shape, dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows, `_range` refuses
        for start in range(0, array.shape[2], _BLOCK):
            block = slice(start, start + _BLOCK)
            array[..., block] = stored[..., block]
        if header.slope != 1.0:
            array *= np.float32(header.slope)
        if header.inter != 0.0:
            array += np.float32(header.inter)
    return array


def _without_nan(array: NDArray[np.float32]) -> list[str]:
    """NaN all around the image becomes 0, in place, and is told: so some packages mask."""
    if not np.isnan(array.min()):  # which carries a NaN through
        return []
    missing = np.isnan(array)
    if np.mean([missing.take((0, -1), axis).mean() for axis in range(3)]) < _AROUND:
        return []
    parts, _ = label(missing)
    ends = [parts.take((0, -1), axis).ravel() for axis in range(3)]
    outer = missing & np.isin(parts, np.unique(np.concatenate(ends)))
    array[outer] = 0.0
    share = 100.0 * np.count_nonzero(outer) / outer.size
    return [
        f"{share:.2g} % of the voxels, around the image, are NaN; they are taken as background."
    ]


def _range(path: Path, array: NDArray[np.float32]) -> tuple[float, float]:
    """The least and the largest intensity, if all are finite."""
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):  # both carry a NaN through
        count = array.size - int(np.isfinite(array).sum())
        raise InputError(
            f"{path} has {count} voxels of {array.size} that are not finite numbers (NaN or "
            "infinity); replace them at their source, with 0 if they are background"
        )
    return low, high


def read_prepared(path: Path, mask_path: Path) -> Scan:
    """TurboPrep's volume and mask, which must lie on the model's grid."""
    scan, mask = _volume(path), _volume(mask_path)
    for part in (scan, mask):
        on_grid = part.array.shape == space.GRID_SHAPE and np.allclose(
            part.affine, space.grid_affine(), atol=1e-3
        )
        if not on_grid:
            corner = ", ".join(f"{v:g}" for v in part.affine[:3, 3])
            expected = ", ".join(f"{v:g}" for v in space.GRID_ORIGIN)
            raise InputError(
                f"{part.path} has {times(part.array.shape)} voxels from ({corner}) mm; expected "
                f"TurboPrep's grid of {times(space.GRID_SHAPE)} voxels of 1 mm from ({expected}) "
                "mm; name the raw scan instead"
            )
        _range(part.path or path, part.array)
    brain = mask.array > 0.5
    if not brain.any():
        raise InputError(f"{mask_path} is empty; expected a brain mask, above 0 inside the brain")
    if np.ptp(scan.array[brain]) == 0.0:
        raise InputError(f"{path} has one value in the whole brain: there is no image in it")
    return replace(scan, path=path, mask=brain, facts=scan.facts | {"prepared": True})
