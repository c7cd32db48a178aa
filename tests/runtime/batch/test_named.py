"""What a command without `--out` names: folders of volumes are their scans, a study is one."""

from __future__ import annotations

import pytest

from fmtool.errors import InputError
from runtime.batch import inputs


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return list(paths)


def test_a_folder_is_its_scans(tmp_path):
    first, second = touch(tmp_path / "a.nii.gz", tmp_path / "b" / "c.mgz")
    touch(tmp_path / "readme.pdf")
    assert inputs.named([tmp_path, first]) == [first, second, first]


def test_a_data_set_and_a_list_are_theirs(tmp_path):
    (head,) = touch(tmp_path / "data" / "sub-1" / "anat" / "sub-1_T1w.nii.gz")
    (tmp_path / "data" / "dataset_description.json").write_text('{"BIDSVersion": "1.9.0"}')
    (tmp_path / "heads.txt").write_text("data")
    for named in ("data", "heads.txt"):
        assert inputs.named([tmp_path / named]) == [head]


def test_a_study_is_one_scan_however_many_series(tmp_path):
    pytest.importorskip("pydicom")
    for number in range(3):
        folder = tmp_path / f"series-{number}"
        folder.mkdir()
        (folder / "1.dcm").write_bytes(bytes(128) + b"DICM" + bytes(8))
    assert inputs.named([tmp_path]) == [tmp_path]


def test_a_folder_without_a_scan_is_said_without_a_word_of_dicom(tmp_path):
    touch(tmp_path / "notes.pdf")
    with pytest.raises(InputError) as raised:
        inputs.named([tmp_path])
    assert "holds no scan" in str(raised.value)
    assert "DICOM" not in str(raised.value)
