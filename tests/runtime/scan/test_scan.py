"""Reading scans: what a good file gives, bit for bit as nibabel reads it."""

from __future__ import annotations

import bz2
import gzip
import os
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nibabel.freesurfer.mghformat import MGHImage
from numpy.typing import NDArray

from fmtool import space
from fmtool.errors import CapabilityError, InputError
from fmtool.errors.advice import no_options
from runtime import scan
from runtime.scan import stream

SHAPE = (18, 20, 22)
ORIENTATIONS = ["RAS", "LAS", "LPI", "PSR", "AIL", "SRP", "IPL"]


def oriented(
    codes: str, sizes: tuple[float, float, float] = (1.0, 1.5, 2.0)
) -> NDArray[np.float64]:
    ornt = nib.orientations.axcodes2ornt(tuple(codes))
    affine = np.zeros((4, 4))
    for axis, (to, sign) in enumerate(ornt):
        affine[int(to), axis] = sign * sizes[axis]
    affine[:, 3] = [-10.0, 5.0, 30.0, 1.0]
    return affine


def ramp(shape: tuple[int, ...] = SHAPE, dtype: str = "int16") -> NDArray[np.generic]:
    return (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)


def reference(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    image = nib.as_closest_canonical(nib.load(path))
    return np.asarray(image.dataobj, dtype=np.float32), image.affine


def save(path: Path, array: NDArray[np.generic], affine: NDArray[np.float64]) -> Path:
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


@pytest.mark.parametrize("codes", ORIENTATIONS)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_every_orientation_is_read_as_nibabel_reads_it(
    tmp_path: Path, codes: str, suffix: str
) -> None:
    path = save(tmp_path / f"a{suffix}", ramp(), oriented(codes))
    got = scan.read(path)
    array, affine = reference(path)
    assert got.array.dtype == np.float32
    assert got.array.flags.c_contiguous
    np.testing.assert_array_equal(got.array, array)
    np.testing.assert_allclose(got.affine, affine, atol=1e-5)
    assert got.facts["orientation"] == codes
    assert got.facts["shape"] == list(array.shape)
    assert got.facts["frame"] == "sform"
    assert got.facts["warnings"] == []


@pytest.mark.parametrize(
    "dtype",
    ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64", ">i2"],
)
def test_every_real_number_type_is_read(tmp_path: Path, dtype: str) -> None:
    header = nib.Nifti1Header(endianness=">" if dtype.startswith(">") else "<")
    header.set_data_dtype(np.dtype(dtype))
    image = nib.Nifti1Image((ramp() % 100).astype(dtype), oriented("LAS"), header)
    nib.save(image, tmp_path / "a.nii.gz")
    got = scan.read(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(got.array, reference(tmp_path / "a.nii.gz")[0])
    assert got.facts["dtype"] == np.dtype(dtype).newbyteorder("=").name


def test_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    image = nib.Nifti1Image(ramp(), oriented("RAS"))
    image.header.set_slope_inter(0.25, -7.0)
    nib.save(image, tmp_path / "a.nii.gz")
    raw = bytearray(gzip.decompress((tmp_path / "a.nii.gz").read_bytes()))
    raw[112:120] = np.array([0.25, -7.0], dtype="<f4").tobytes()
    (tmp_path / "b.nii").write_bytes(raw)
    array, _ = reference(tmp_path / "b.nii")
    np.testing.assert_allclose(scan.read(tmp_path / "b.nii").array, array, rtol=1e-6)
    assert array.min() < 0


@pytest.mark.parametrize("kind", [nib.Nifti2Image, MGHImage])
def test_nifti2_and_mgz_are_read(tmp_path: Path, kind: type[nib.Nifti2Image]) -> None:
    path = tmp_path / ("a.mgz" if kind is MGHImage else "a.nii.gz")
    nib.save(kind(ramp(dtype="float32"), oriented("LIA")), path)
    got = scan.read(path)
    array, affine = reference(path)
    np.testing.assert_array_equal(got.array, array)
    np.testing.assert_allclose(got.affine, affine, atol=1e-4)


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz", ramp(), oriented("LAS"))
    (tmp_path / "plain.nii.gz").write_bytes(gzip.decompress(path.read_bytes()))
    (tmp_path / "zipped.nii").write_bytes(path.read_bytes())
    for name in ("plain.nii.gz", "zipped.nii"):
        np.testing.assert_array_equal(scan.read(tmp_path / name).array, scan.read(path).array)


def test_blocked_gzip_and_header_extensions_are_read(tmp_path: Path) -> None:
    image = nib.Nifti1Image(ramp(), oriented("LAS"))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 5000))
    nib.save(image, tmp_path / "a.nii")
    raw = (tmp_path / "a.nii").read_bytes()
    blocks = b"".join(gzip.compress(raw[i : i + 1000]) for i in range(0, len(raw), 1000))
    (tmp_path / "b.nii.gz").write_bytes(blocks + bytes(512))
    np.testing.assert_array_equal(
        scan.read(tmp_path / "b.nii.gz").array, reference(tmp_path / "a.nii")[0]
    )


def test_a_trailing_axis_of_one_is_accepted(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii.gz", ramp((*SHAPE, 1)), oriented("RAS"))
    assert scan.read(path).array.shape == SHAPE


def test_no_patient_identifier_leaves_the_header(tmp_path: Path) -> None:
    image = nib.Nifti1Image(ramp(), oriented("RAS"))
    for name in ("descrip", "db_name", "aux_file"):
        image.header[name] = b"JANE DOE"
    nib.save(image, tmp_path / "a.nii.gz")
    assert "JANE" not in repr(scan.read(tmp_path / "a.nii.gz").facts)


def _write_turboprep(
    folder: Path, change: Callable[[NDArray[np.float32]], NDArray[np.float32]] = lambda a: a
) -> None:
    volume = np.zeros(space.GRID_SHAPE, dtype=np.float32)
    volume[60:130, 60:160, 60:130] = ramp((70, 100, 70), "float32")
    save(folder / "normalized.nii.gz", volume, space.grid_affine())
    save(folder / "mask.nii.gz", change((volume > 0).astype(np.float32)), space.grid_affine())


def test_turbopreps_files_come_with_their_mask(tmp_path: Path) -> None:
    _write_turboprep(tmp_path)
    for path in (tmp_path, tmp_path / "normalized.nii.gz"):
        got = scan.read(path)
        assert got.mask is not None
        assert got.mask.dtype == bool
        np.testing.assert_array_equal(got.mask, got.array > 0)
        assert got.facts["prepared"] is True
        assert got.path == tmp_path / "normalized.nii.gz"


def test_turbopreps_files_must_lie_on_the_models_grid(tmp_path: Path) -> None:
    _write_turboprep(tmp_path, lambda mask: mask[:-1])
    with pytest.raises(InputError, match=r"192 x 229 x 193.*expected.*193 x 229 x 193"):
        scan.read(tmp_path)
    _write_turboprep(tmp_path, np.zeros_like)
    with pytest.raises(InputError, match="is empty"):
        scan.read(tmp_path)
    (tmp_path / "mask.nii.gz").unlink()
    with pytest.raises(InputError, match="no mask"):
        scan.read(tmp_path)


@pytest.mark.data
def test_real_scans_are_read_as_nibabel_reads_them(data_dir: Path) -> None:
    files = [
        *sorted((data_dir / "raw").glob("*.nii.gz"))[:2],
        *sorted((data_dir / "ixi2mm").glob("*T1_ds.nii.gz"))[:2],
        data_dir / "cohort" / "sub-21_T1w.nii.gz",
        data_dir / "cohort" / "sub-40_T1w.nii.gz",
    ]
    for path in files:
        got = scan.read(path)
        array, affine = reference(path)
        np.testing.assert_array_equal(got.array, array, err_msg=path.name)
        np.testing.assert_allclose(got.affine, affine, atol=1e-5, err_msg=path.name)


@pytest.mark.data
def test_the_cohorts_quirks_are_said_aloud(data_dir: Path) -> None:
    differing = scan.read(data_dir / "cohort" / "sub-21_T1w.nii.gz").facts
    assert any("sform and the qform differ" in w for w in differing["warnings"])
    assert scan.read(data_dir / "cohort" / "sub-40_T1w.nii.gz").facts["frame"] == "qform"


@pytest.mark.data
def test_every_malformed_file_is_refused_in_a_sentence(data_dir: Path) -> None:
    files = sorted((data_dir / "bad" / "malformed").iterdir())
    assert files
    for path in [*files, data_dir / "bad" / "pumi_sub-001_task-rest_bold_4D.nii.gz"]:
        with pytest.raises(InputError) as caught:
            scan.read(path)
        assert os.fspath(path) in str(caught.value)


@pytest.mark.parametrize(
    "pack", [bz2.compress, lambda raw: bz2.compress(raw[:999]) + bz2.compress(raw[999:])]
)
def test_bzip2_is_read_by_its_content(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = save(tmp_path / "a.nii", ramp(), oriented("LAS"))
    (tmp_path / "b.nii.bz2").write_bytes(pack(path.read_bytes()))
    np.testing.assert_array_equal(scan.read(tmp_path / "b.nii.bz2").array, scan.read(path).array)


def test_nan_around_the_image_is_background_and_said(tmp_path: Path) -> None:
    array = ramp().astype(np.float32)
    inside = np.zeros(array.shape, bool)
    inside[2:-2, :-2, 2:-2] = True  # all but one side
    array[~inside] = np.nan
    got = scan.read(save(tmp_path / "a.nii", array, np.eye(4)))
    np.testing.assert_array_equal(got.array, np.nan_to_num(array))
    (said,) = got.facts["warnings"]
    assert (
        said
        == f"{100 * np.isnan(array).mean():.2g} % of the voxels, around the image, are NaN; "
        + ("they are taken as background.")
    )
    array[4, 3, 3] = np.nan
    with pytest.raises(InputError, match=r"has 1 voxels of \d+ that are not finite"):
        scan.read(save(tmp_path / "b.nii", array, np.eye(4)))


def test_a_folder_of_volumes_is_no_scan_and_is_not_taken_for_dicom(tmp_path: Path) -> None:
    for name in ("a.nii", "sub/b.NII.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    said = "is a folder with 2 volumes in it; name the scan's own file"
    with pytest.raises(InputError, match=f"{said}, or --out DIR"):
        scan.read(tmp_path)
    with no_options(), pytest.raises(InputError, match=f"{said}$"):
        scan.read(tmp_path)


def test_zstandard_is_read_where_it_can_be_unpacked(tmp_path: Path) -> None:
    zstd = pytest.importorskip("backports.zstd", reason="nothing here unpacks Zstandard")
    path = save(tmp_path / "a.nii", ramp(), oriented("LAS"))
    raw = path.read_bytes()
    for data in (zstd.compress(raw), zstd.compress(raw[:500]) + zstd.compress(raw[500:])):
        (tmp_path / "b.nii.zst").write_bytes(data)
        got = scan.read(tmp_path / "b.nii.zst").array
        np.testing.assert_array_equal(got, scan.read(path).array)
        (tmp_path / "b.nii.zst").write_bytes(data[:-200])
        with pytest.raises(InputError, match="cut off"):
            scan.read(tmp_path / "b.nii.zst")


def test_without_the_library_a_zstandard_file_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("backports.zstd", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "a.nii.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(50))
    with pytest.raises(CapabilityError, match=r"pip install 'nibabel\[zstd\]'"):
        scan.read(tmp_path / "a.nii.zst")


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair])
@pytest.mark.parametrize("ending", ["", ".gz", ".bz2"])
def test_a_pair_is_read_whichever_of_its_files_is_named(
    tmp_path: Path, kind: type[nib.Nifti1Pair], ending: str
) -> None:
    image = kind(ramp(), oriented("LIA"))
    nib.save(image, tmp_path / f"a.img{ending}")
    array, affine = reference(tmp_path / f"a.img{ending}")
    for name in ("a.hdr", "a.img"):
        got = scan.read(tmp_path / f"{name}{ending}")
        np.testing.assert_array_equal(got.array, array)
        np.testing.assert_allclose(got.affine, affine, atol=1e-5)
    (tmp_path / f"a.img{ending}").rename(tmp_path / "away")
    with pytest.raises(InputError, match=r"half of a pair: a\.img"):
        scan.read(tmp_path / f"a.hdr{ending}")


def test_capital_names_are_read(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(ramp(), oriented("LIA")), tmp_path / "a.img")
    (tmp_path / "a.img").rename(tmp_path / "A.IMG")
    (tmp_path / "a.hdr").rename(tmp_path / "A.HDR")
    save(tmp_path / "b.nii", ramp(), oriented("LIA")).rename(tmp_path / "B.NII")
    np.testing.assert_array_equal(
        scan.read(tmp_path / "A.HDR").array, scan.read(tmp_path / "B.NII").array
    )


@pytest.mark.parametrize(("flag", "said"), [(1, ""), (2, "goodRASFlag is 2"), (-1, "Flag is -1")])
def test_an_mgh_with_an_odd_flag_is_read_aloud(tmp_path: Path, flag: int, said: str) -> None:
    nib.save(MGHImage(ramp(dtype="float32"), oriented("LIA")), tmp_path / "a.mgh")
    raw = bytearray((tmp_path / "a.mgh").read_bytes())
    raw[28:30] = flag.to_bytes(2, "big", signed=True)
    (tmp_path / "a.mgh").write_bytes(raw)
    got = scan.read(tmp_path / "a.mgh")
    assert got.facts["orientation"] == "LIA"
    assert len(got.facts["warnings"]) == bool(said)
    assert said in "".join(got.facts["warnings"])
    raw[28:30] = bytes(2)
    (tmp_path / "a.mgh").write_bytes(raw)
    with pytest.raises(InputError, match=r"no orientation \(a goodRASFlag of 0\).*--assume-ras"):
        scan.read(tmp_path / "a.mgh")
    assert scan.read(tmp_path / "a.mgh", assume_ras=True).facts["orientation"] == "RAS"


def test_a_link_to_nothing_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.nii").symlink_to(".git/annex/objects/ab/cd/KEY/KEY")
    with pytest.raises(InputError, match="git annex get"):
        scan.read(tmp_path / "a.nii")
    (tmp_path / "b.nii").symlink_to("elsewhere")
    with pytest.raises(InputError, match="a link to elsewhere, which is not there"):
        scan.read(tmp_path / "b.nii")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_members_may_end_wherever_the_file_is_cut_into_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    raw = save(tmp_path / "a.nii", ramp(), oriented("LAS")).read_bytes()
    (tmp_path / "b.nii").write_bytes(
        b"".join(pack(raw[i : i + 4000]) for i in range(0, 32000, 4000))
    )
    expected = scan.read(tmp_path / "a.nii").array
    for chunk in (4, 5, 7, 11):
        monkeypatch.setattr(stream, "_CHUNK", chunk)
        np.testing.assert_array_equal(scan.read(tmp_path / "b.nii").array, expected)
