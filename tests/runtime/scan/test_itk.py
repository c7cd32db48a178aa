"""Where ITK sees a file's voxels, against ITK's own readers."""

from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.freesurfer.mghformat import MGHImage
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from fmtool.errors import InputError
from runtime import scan

Affine = NDArray[np.float64]

SHAPE = (20, 22, 24)
SIZES = np.array([1.0, 1.5, 2.0])
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def turned(axis: str, degrees: float) -> Affine:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
    return affine


def shear(degrees: float) -> Affine:
    affine = np.eye(4)
    affine[0, 1] = np.tan(np.radians(degrees))
    return affine


def moved(affine: Affine, millimetres: float) -> Affine:
    affine = affine.copy()
    affine[:3, 3] += millimetres
    return affine


Q = moved(turned("x", 10.0) @ np.diag([-1.0, 1, 1, 1]) @ np.diag([*SIZES, 1.0]), 6.0)
SFORMS = {
    "the same": Q,
    "turned": turned("z", 8.0) @ Q,
    "moved": moved(Q, 20.0),
    "mirrored": np.diag([-1.0, 1, 1, 1]) @ Q,
    "scaled alike": np.diag([1.1, 1.1, 1.1, 1]) @ Q,
    "scaled": np.diag([1.08, 1.06, 1.1, 1]) @ Q,
    "sheared": shear(4.0) @ Q,
    "sheared a little": shear(0.5) @ Q,
    "singular": np.diag([1.0, 1, 0, 1]) @ Q,
    "no number": np.full((4, 4), np.nan),
}


def write(
    path: Path, sform: Affine, sform_code: int, qform_code: int, units: int = 2, pixdim: float = 1.0
) -> Path:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape(SHAPE)
    header.set_qform(Q, 1)
    header["qform_code"], header["sform_code"] = qform_code, sform_code
    for name, row in zip(("srow_x", "srow_y", "srow_z"), sform, strict=False):
        header[name] = row
    header["pixdim"][1] *= pixdim
    header["xyzt_units"] = units
    header["magic"], header["vox_offset"] = b"n+1", 352
    voxels = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    path.write_bytes(header.binaryblock + bytes(4) + voxels.tobytes(order="F"))
    return path


def seen_by_simpleitk(path: Path) -> Affine | None:
    sitk = pytest.importorskip("SimpleITK")
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        return None
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return _LPS @ affine if np.isfinite(affine).all() else None


def check(path: Path, assume_ras: bool = False) -> Affine | None:
    """fmtool's frame carried to ITK's is the one that ITK reads, or there is none in either."""
    read = scan.read(path, assume_ras)
    seen = seen_by_simpleitk(path)
    if seen is None:
        assert read.itk is None
        return None
    assert read.itk is not None
    assert read.stored is not None
    np.testing.assert_allclose(read.itk @ read.stored, seen, rtol=1e-4, atol=1e-3)
    return read.itk


@pytest.mark.parametrize("kind", SFORMS)
def test_every_pair_of_codes_is_seen_as_itk_sees_it(tmp_path: Path, kind: str) -> None:
    for sform_code, qform_code in itertools.product((-1, 0, 1, 2, 3, 4, 5), (-1, 0, 1, 2, 3)):
        if sform_code <= 0 and qform_code <= 0:
            continue
        path = write(tmp_path / "a.nii", SFORMS[kind], sform_code, qform_code)
        try:
            check(path)
        except InputError:  # what has no frame that could be a head's, ITK does not read either
            assert seen_by_simpleitk(path) is None


def test_the_frames_part_where_itk_takes_the_other_one(tmp_path: Path) -> None:
    """nibabel takes any sform with a code, ITK that of the scanner only."""
    aligned = check(write(tmp_path / "a.nii", SFORMS["turned"], 2, 1))
    scanner = check(write(tmp_path / "b.nii", SFORMS["turned"], 1, 1))
    assert aligned is not None
    np.testing.assert_allclose(aligned, np.linalg.inv(turned("z", 8.0)), atol=1e-5)
    np.testing.assert_allclose(scanner, np.eye(4), atol=1e-5)


@pytest.mark.parametrize("units", [0, 2])
def test_a_file_without_a_frame_lies_where_itk_puts_it(tmp_path: Path, units: int) -> None:
    check(write(tmp_path / "a.nii", Q, 0, 0, units), assume_ras=True)


@pytest.mark.parametrize(("units", "mm"), [(1, 1000.0), (3, 0.001)])
def test_other_units_are_converted_as_itk_converts_them(
    tmp_path: Path, units: int, mm: float
) -> None:
    path = write(tmp_path / "a.nii", SFORMS["turned"], 2, 1, units)
    raw = bytearray(path.read_bytes())
    header = nib.Nifti1Header(bytes(raw[:348]), check=False)
    for name in ("srow_x", "srow_y", "srow_z"):
        header[name] = header[name] / mm
    header["pixdim"][1:4] /= mm
    for name in ("qoffset_x", "qoffset_y", "qoffset_z"):
        header[name] = header[name] / mm
    path.write_bytes(header.binaryblock + raw[348:])
    itk = check(path)
    assert itk is not None
    np.testing.assert_allclose(itk, np.linalg.inv(turned("z", 8.0)), atol=1e-4)


@pytest.mark.parametrize("factor", [0.0, -1.0, np.nan])
def test_where_a_voxel_size_cannot_be_nothing_is_said_of_itk(tmp_path: Path, factor: float) -> None:
    read = scan.read(write(tmp_path / "a.nii", Q, 1, 1, pixdim=factor))
    assert read.itk is None
    assert read.facts["frame"] == "sform"
    np.testing.assert_allclose(read.stored, Q, atol=1e-5)


@pytest.mark.parametrize("flag", [0, 1, 2, -1])
def test_mgh_is_seen_as_itk_sees_it(tmp_path: Path, flag: int) -> None:
    ants = pytest.importorskip("ants")
    path = tmp_path / "a.mgh"
    nib.save(MGHImage(np.random.default_rng(0).random(SHAPE, dtype=np.float32), Q), path)
    raw = bytearray(path.read_bytes())
    raw[28:30] = flag.to_bytes(2, "big", signed=True)
    path.write_bytes(raw)
    read = scan.read(path, assume_ras=True)
    image = ants.image_read(str(path))
    seen = np.eye(4)
    seen[:3, :3] = np.array(image.direction) * image.spacing
    seen[:3, 3] = image.origin
    assert read.itk is not None
    np.testing.assert_allclose(read.itk @ read.stored, _LPS @ seen, atol=1e-3)


@pytest.mark.data
@pytest.mark.parametrize(("name", "apart"), [("sub-21", True), ("sub-38", False)])
def test_the_cohorts_files_are_seen_as_itk_sees_them(
    data_dir: Path, name: str, apart: bool
) -> None:
    itk = check(data_dir / "cohort" / f"{name}_T1w.nii.gz")
    assert itk is not None
    assert np.allclose(itk, np.eye(4), atol=0.05) is not apart
