"""What a command names, as scans in a stable order."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmtool.errors import InputError
from runtime.batch.inputs import expand


def touch(top, *names, content=b"x"):
    for name in names:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def under(top, found):
    return [str(path.relative_to(top)) for path in found]


def dicom(top, *names):
    touch(top, *names, content=b"\0" * 128 + b"DICM")


def test_a_folder_s_volumes_in_the_order_of_their_paths(tmp_path):
    touch(tmp_path, "b.nii", "a.nii.gz", "deep/c.mgz", "notes.txt", ".hidden.nii", "d.json")
    assert under(tmp_path, expand([tmp_path])) == ["a.nii.gz", "b.nii", "deep/c.mgz"]


def test_what_is_named_keeps_its_order_and_may_not_exist(tmp_path):
    touch(tmp_path, "b.nii", "a.nii")
    named = [tmp_path / "b.nii", tmp_path / "absent.nii", tmp_path / "a.nii"]
    assert expand(named) == named


def test_bids_gives_its_t1w_files(tmp_path):
    touch(
        tmp_path,
        "dataset_description.json",
        "sub-02/anat/sub-02_T1w.nii.gz",
        "sub-02/anat/sub-02_T2w.nii.gz",
        "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii",
        "sub-01/ses-1/func/sub-01_ses-1_bold.nii.gz",
        "derivatives/x/sub-01/anat/sub-01_T1w.nii.gz",
    )
    assert under(tmp_path, expand([tmp_path])) == [
        "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii",
        "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz",
        "sub-02/anat/sub-02_T1w.nii.gz",
    ]


def test_a_table_of_participants_beside_flat_files_is_no_bids(tmp_path):
    touch(tmp_path, "participants.tsv", "sub-01_T1w.nii.gz")
    assert under(tmp_path, expand([tmp_path])) == ["sub-01_T1w.nii.gz"]


def test_a_list_is_relative_to_itself(tmp_path):
    touch(tmp_path, "lists/b.nii", "a.nii")
    (tmp_path / "lists" / "l.txt").write_text("# night\n b.nii \n\n../a.nii\n/absent.nii\n")
    found = expand([tmp_path / "lists" / "l.txt"])
    assert [path.name for path in found if isinstance(path, Path)] == [
        "b.nii",
        "a.nii",
        "absent.nii",
    ]
    assert found[2] == Path("/absent.nii")


def test_turboprep_s_folders_are_one_scan_each(tmp_path):
    for name in ("b", "a"):
        touch(tmp_path, f"{name}/normalized.nii.gz", f"{name}/mask.nii.gz")
    assert under(tmp_path, expand([tmp_path])) == ["a", "b"]
    assert expand([tmp_path / "a"]) == [tmp_path / "a"]


def test_a_dicom_study_is_one_scan_however_deep(tmp_path):
    dicom(tmp_path, "p2/t1/IM1", "p2/t2/IM1", "p1/IM1", "p1/IM2")
    touch(tmp_path, "p3/readme")
    assert under(tmp_path, expand([tmp_path])) == ["p1", "p2"]
    assert expand([tmp_path / "p1"]) == [tmp_path / "p1"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "\x00\xff"])
def test_an_empty_list_or_folder_is_refused(tmp_path, text):
    (tmp_path / "list.txt").write_bytes(text.encode("latin-1"))
    (tmp_path / "folder").mkdir()
    if text != "\x00\xff":
        with pytest.raises(InputError, match="lists no scan"):
            expand([tmp_path / "list.txt"])
    else:
        with pytest.raises(InputError, match="no UTF-8 text"):
            expand([tmp_path / "list.txt"])
    with pytest.raises(InputError, match="holds no scan"):
        expand([tmp_path / "folder"])


def test_a_link_to_a_folder_above_ends(tmp_path):
    touch(tmp_path, "in/a.nii")
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    assert under(tmp_path, expand([tmp_path])) == ["in/a.nii"]
