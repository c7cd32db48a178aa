"""Slices to a volume: where the voxels lie, against the affine written and against dcm2niix."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from runtime import scan

PLANES = ["axial", "sagittal", "coronal", "feet first"]
RAS = np.diag([-1.0, -1.0, 1.0])


def place(maker, plane, turn, index):
    """Where the writer put a voxel (column, row, slice), RAS mm."""
    header = maker.header(plane, turn)
    row, down = np.array(header.ImageOrientationPatient, dtype=float).reshape(2, 3)
    axes = np.array([row, down, np.cross(row, down)]).T
    return RAS @ (np.array(maker.origin) + axes @ (np.multiply(index, maker.spacing)))


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("turn", [0.0, 17.3])
@pytest.mark.parametrize("kind", ["slices", "enhanced"])
def test_each_voxel_lies_where_the_headers_say(make, plane, turn, kind):
    mixed = {"mixed": True} if kind == "enhanced" else {}
    stored = getattr(make, kind)(plane=plane, turn=turn, **mixed)
    got = scan.read(make.folder)
    assert got.array.dtype == np.float32
    assert got.array.flags.c_contiguous
    assert got.facts["frame"] == "dicom"
    to_voxel = np.linalg.inv(got.affine)
    assert (np.argmax(np.abs(got.affine[:3, :3]), axis=0) == [0, 1, 2]).all()  # canonical
    assert (np.diag(got.affine)[:3] > 0).all()
    rng = np.random.default_rng(1)
    for _ in range(60):
        index = [int(rng.integers(n)) for n in stored.shape]
        at = (to_voxel @ [*place(make, plane, turn, index), 1.0])[:3]
        np.testing.assert_allclose(at, np.round(at), atol=1e-5)
        assert got.array[tuple(np.round(at).astype(int))] == stored[tuple(index)]


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("turn", [0.0, 17.3])
@pytest.mark.parametrize("kind", ["slices", "enhanced"])
def test_the_volume_is_that_of_dcm2niix(make, dcm2niix, tmp_path, plane, turn, kind):
    getattr(make, kind)(plane=plane, turn=turn)
    (path,) = dcm2niix(make.folder, tmp_path / "out")
    ours, theirs = scan.read(make.folder), scan.read(path)
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-3)
    np.testing.assert_array_equal(ours.array, theirs.array)


@pytest.mark.data
def test_a_real_series_is_that_of_dcm2niix(data_dir, dcm2niix, tmp_path):
    (path,) = (data_dir / "dicom").glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "files")
    (converted,) = dcm2niix(tmp_path / "files", tmp_path / "out")
    zipped, theirs = scan.read(path), scan.read(converted)
    np.testing.assert_allclose(zipped.affine, theirs.affine, atol=1e-4)
    np.testing.assert_array_equal(zipped.array, theirs.array)
    far = [*np.array(zipped.array.shape) - 1, 1]
    # dcm2niix takes the slice distance in single precision: 4e-6 mm, times 383
    np.testing.assert_allclose(zipped.affine @ far, theirs.affine @ far, atol=2e-3)
    folder = scan.read(tmp_path / "files")
    np.testing.assert_array_equal(folder.array, zipped.array)
    np.testing.assert_array_equal(folder.affine, zipped.affine)


def test_a_folder_a_zip_a_list_and_one_multi_frame_file_give_the_same(make, tmp_path):
    stored = make.slices()
    files = sorted(make.folder.iterdir())
    with zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, f"deep/er/{path.name}")
    first = scan.read(make.folder)
    for source in (tmp_path / "s.zip", tuple(reversed(files))):
        again = scan.read(source)
        np.testing.assert_array_equal(again.array, first.array)
        np.testing.assert_array_equal(again.affine, first.affine)
    make.folder = tmp_path / "multi"
    make.enhanced(stored)
    again = scan.read(make.folder / "enhanced.dcm")
    np.testing.assert_array_equal(again.array, first.array)
    np.testing.assert_allclose(again.affine, first.affine, atol=1e-9)
    assert str(scan.read(tuple(files)).path) == str(files[0].parent)


def test_a_turboprep_folder_is_no_dicom_folder(make, tmp_path):
    make.slices()
    (make.folder / "normalized.nii.gz").touch()
    with pytest.raises(Exception, match=r"mask\.nii\.gz"):
        scan.read(make.folder)


def test_files_of_other_kinds_are_left_out_and_counted(make):
    make.slices()
    (make.folder / "README.txt").write_text("nothing")
    (make.folder / "deeper").mkdir()
    (make.folder / "deeper" / "x.jpg").write_bytes(b"\xff\xd8" + bytes(300))
    got = scan.read(make.folder)
    assert got.facts["files"] == {"dicom": 18, "left_out": {"not DICOM": 2}}
    assert got.facts["warnings"] == []
