"""What `fmtool preprocess` leaves, for files whose frame other readers see otherwise."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fmtool import bundle, space
from runtime import scan
from runtime.preprocess import resample
from runtime.preprocess.pipeline import Prepared
from runtime.preprocess.template import Template
from runtime.report import turboprep
from runtime.transform import about, to_itk

CENTRE = np.array([0.0, -20.0, 10.0])
SIZES = np.array([3.0, 2.0, 3.0])
TO_SCAN = about(CENTRE, np.array([0.2, -0.1, 0.1]), np.array([4.0, 7.0, -9.0]))


@pytest.fixture(scope="module")
def demo():
    with bundle.open() as opened:
        yield opened, Template.load(opened.template)


@pytest.fixture(scope="module")
def head(demo):
    """The template's voxels, 3 x 2 x 3 mm, and their affine."""
    affine = space.grid_affine() @ np.diag([*SIZES, 1.0])
    return demo[1].array[::3, ::2, ::3].astype(np.float32), affine


def turned(affine, degrees=9.0):
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("x", degrees, degrees=True).as_matrix()
    turn[:3, 3] = CENTRE - turn[:3, :3] @ CENTRE + 4.0
    return turn @ affine


def write(path, head, sform, qform, codes, units="mm", scale=1.0):
    array, _ = head
    made = nib.Nifti1Image(array, None)
    for name, affine, code in (("sform", sform, codes[0]), ("qform", qform, codes[1])):
        scaled = np.diag([scale, scale, scale, 1.0]) @ affine
        getattr(made, f"set_{name}")(scaled, code, update_affine=False)
    made.header["pixdim"][1:4] = SIZES * scale
    made.header.set_xyzt_units(units)
    nib.save(made, path)
    return path


def prepared(demo, path, out, assume_ras=False):
    """The files that are left for a scan that was registered with `TO_SCAN`."""
    opened, template = demo
    read = scan.read(path, assume_ras)
    brain = read.array > 0
    volume = template.crop
    done = Prepared(volume, volume > 0, TO_SCAN, read.array, brain, read.affine, {"head": "whole"})
    paths = turboprep.write(done, out, opened, template, read, [])
    assert all(file.exists() for file in paths)
    return done, json.loads((out / "preprocess.json").read_text(encoding="utf-8"))


def resampled_by_itk(path, transform, grid):
    sitk = pytest.importorskip("SimpleITK")
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    moving = sitk.ReadImage(str(path), sitk.sitkFloat32)
    fixed = sitk.ReadImage(str(grid))
    moved = sitk.Resample(moving, fixed, sitk.ReadTransform(str(transform)), sitk.sitkLinear, 0.0)
    return sitk.GetArrayFromImage(moved).transpose(2, 1, 0)


def apart(path, out, done):
    """How far ITK, told the transform, is from fmtool in bringing the scan to the grid."""
    moved = resampled_by_itk(path, out / "template_to_scan_itk.txt", out / "normalized.nii.gz")
    wanted = resample.to_grid(done.corrected, done.affine, done.transform)
    return np.abs(moved - wanted)[5:-5, 5:-5, 5:-5].mean() / wanted.mean()


FRAMES = {
    "ITK takes the qform": (turned, (2, 1), "sform"),
    "fmtool takes the qform": (lambda a: np.diag([1.1, 1.1, 1.1, 1.0]) @ a, (1, 1), "qform"),
    "both take the sform": (turned, (4, 0), "sform"),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_itk_s_transform_leads_to_the_voxels_that_itk_sees(tmp_path, head, demo, kind):
    of_sform, codes, frame = FRAMES[kind]
    path = write(tmp_path / "a.nii", head, of_sform(head[1]), head[1], codes)
    done, facts = prepared(demo, path, tmp_path / "out")
    assert facts["frame"] == frame
    assert apart(path, tmp_path / "out", done) < 0.01
    naive = tmp_path / "out" / "template_to_scan_itk.txt"
    naive.write_text(to_itk(done.transform))
    assert (apart(path, tmp_path / "out", done) < 0.01) == (kind == "both take the sform")


def test_the_facts_hold_the_affine_of_the_file_s_own_voxels(tmp_path, head, demo):
    """A template point's voxel is the same whatever the unit, and where no frame is given."""
    plain = write(tmp_path / "a.nii", head, head[1], head[1], (1, 1))
    metres = write(tmp_path / "b.nii", head, head[1], head[1], (1, 1), "meter", 0.001)
    bare = write(tmp_path / "c.nii", head, head[1], head[1], (0, 0))
    found = {}
    for path in (plain, metres, bare):
        _, facts = prepared(demo, path, tmp_path / path.stem, path == bare)
        point = np.array(facts["template_to_scan"]) @ [0.0, 0.0, 0.0, 1.0]
        found[path] = np.linalg.solve(facts["affine"], point)[:3]
        assert facts["frame"] == ("assumed" if path == bare else "sform")
        said = " ".join(facts["warnings"])
        assert ("metres" in said) is (path == metres)
        assert ("no orientation" in said) is (path == bare)
    np.testing.assert_allclose(found[metres], found[plain], atol=0.05)
    read = scan.read(bare, assume_ras=True)
    point = (TO_SCAN @ [0.0, 0.0, 0.0, 1.0])[:3]
    np.testing.assert_allclose(read.stored @ [*found[bare], 1.0], [*point, 1.0], atol=1e-6)


def test_where_itk_reads_no_frame_no_transform_is_left_for_it(tmp_path, head, demo):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "template_to_scan_itk.txt").touch()  # of an earlier scan
    shear = np.eye(4)
    shear[0, 1] = np.tan(np.radians(0.5))
    path = write(tmp_path / "b.nii", head, shear @ head[1], head[1], (1, 0))
    _, facts = prepared(demo, path, tmp_path / "out")
    assert not (tmp_path / "out" / "template_to_scan_itk.txt").exists()
    assert any("ITK" in sentence for sentence in facts["warnings"])


@pytest.mark.data
def test_a_real_file_with_two_frames(data_dir, tmp_path, demo):
    path = data_dir / "cohort" / "sub-21_T1w.nii.gz"
    done, _ = prepared(demo, path, tmp_path / "out")
    assert apart(path, tmp_path / "out", done) < 0.01
