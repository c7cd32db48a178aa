"""A command line's files: one scan per study, every other path its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fmtool.errors import CapabilityError
from runtime.scan.dicom import library
from runtime.scan.dicom.gather import gather


def test_the_files_of_a_study_are_one_scan_wherever_they_lie(make, tmp_path):
    make.slices()
    files = sorted(make.folder.iterdir())
    other = tmp_path / "other"
    other.mkdir()
    files[3] = files[3].rename(other / "a.dcm")
    nifti = tmp_path / "x.nii.gz"
    nifti.touch()
    assert gather([nifti, *files, Path("absent")]) == [nifti, tuple(files), Path("absent")]


def test_two_studies_are_two_scans_in_the_order_of_their_first_files(make):
    make.slices(name="a")
    make.slices(name="b", StudyInstanceUID="1.2.3")
    a, b = sorted(make.folder.glob("a*")), sorted(make.folder.glob("b*"))
    mixed = [p for pair in zip(b, a, strict=True) for p in pair]
    assert gather(mixed) == [tuple(b), tuple(a)]


def test_a_single_file_and_a_damaged_one_stay_as_they_are(make, tmp_path):
    make.enhanced()
    whole = make.folder / "enhanced.dcm"
    damaged = tmp_path / "damaged.dcm"
    damaged.write_bytes(bytes(128) + b"DICM" + b"\xff" * 9)
    assert gather([whole]) == [whole]
    assert gather([damaged, whole]) == [damaged, whole]


def test_without_pydicom_dicom_is_refused_at_once_and_nifti_is_not(make, tmp_path, monkeypatch):
    make.slices()
    nifti = tmp_path / "x.nii.gz"
    nifti.touch()
    library.pydicom.cache_clear()
    monkeypatch.setitem(sys.modules, "pydicom", None)
    assert gather([nifti, nifti]) == [nifti, nifti]
    for path in (make.folder, next(make.folder.iterdir())):
        with pytest.raises(CapabilityError, match=r"fmtool\[dicom\]"):
            gather([nifti, path])
