"""What a command names, as scans in a stable order."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from fmtool.errors import CapabilityError, InputError
from runtime import scan
from runtime.batch.inputs import expand
from runtime.ledger.content import content_digest
from runtime.scan.dicom import library


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


def test_a_bids_data_set_without_a_head_is_an_input_error(tmp_path):
    touch(
        tmp_path,
        "dataset_description.json",
        "sub-01/anat/sub-01_T2w.nii.gz",
        "sub-01/func/sub-01_task-rest_bold.nii.gz",
    )
    with pytest.raises(InputError, match="BIDS data set without a T1w or UNIT1"):
        expand([tmp_path])


def test_every_name_that_nibabel_reads_is_a_volume(tmp_path):
    names = ["A.NII", "B.Nii.Gz", "C.MGZ", "d.nii.bz2", "e.nii.zst", "f.hdr", "g.hdr.gz", "h.zip"]
    touch(tmp_path, *names, "f.img", "g.img.gz", "single.hdr", "other.img", "notes.bz2")
    assert under(tmp_path, expand([tmp_path])) == names


def test_what_leads_nowhere_is_a_scan_that_fails(tmp_path):
    touch(tmp_path, "a.nii")
    (tmp_path / "b.nii.gz").symlink_to(".git/annex/objects/ab/cd/KEY/KEY")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "d.mgz").symlink_to("absent")
    (tmp_path / "circle.nii").symlink_to("circle.nii")
    (tmp_path / "readme.txt").symlink_to("absent")
    found = ["a.nii", "b.nii.gz", "c/d.mgz", "circle.nii"]
    assert under(tmp_path, expand([tmp_path])) == found


@pytest.mark.parametrize("name", ["IM0001", "slice.dcm", "a.IMA", "1.2.840.113619.2"])
def test_a_study_whose_slices_are_not_here_is_a_scan_that_fails(tmp_path, name):
    touch(tmp_path, "a.nii")
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / name).symlink_to("absent")
    assert under(tmp_path, expand([tmp_path])) == ["a.nii", "study"]


def test_a_folder_that_cannot_be_listed_is_a_scan_that_fails(tmp_path, monkeypatch):
    touch(tmp_path, "a.nii", "shut/b.nii", "deep/down/c.nii", "deep/shut/d.nii")
    listed = os.scandir

    def scandir(path):  # root may list everything, so the refusal itself is made
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = expand([tmp_path])
    assert under(tmp_path, found) == ["a.nii", "deep/down/c.nii", "deep/shut", "shut"]
    with pytest.raises(InputError, match=r"shut cannot be read \(Permission denied\)"):
        scan.read(found[3])


def test_a_linked_folder_is_entered_once(tmp_path):
    touch(tmp_path, "elsewhere/a.nii", "elsewhere/deep/b.nii", "top/c.nii", "top/own/d.nii")
    (tmp_path / "elsewhere" / "deep" / "up").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "top" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "top" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "top" / "again").symlink_to("own")
    assert under(tmp_path / "top", expand([tmp_path / "top"])) == [
        "c.nii",
        "link/a.nii",
        "link/deep/b.nii",
        "own/d.nii",
    ]


def freesurfer(top, *names):
    for name in ("orig.mgz", "T1.mgz", "brain.mgz", "aseg.mgz", "wm.mgz", "orig/001.mgz", *names):
        touch(top / "mri", name)
    touch(top, "surf/lh.pial", "scripts/recon-all.log")


def test_a_freesurfer_subject_is_its_least_processed_head(tmp_path):
    freesurfer(tmp_path / "bert", "rawavg.mgz")
    freesurfer(tmp_path / "anna")
    freesurfer(tmp_path / "fsaverage")
    touch(tmp_path, "carl/mri/T1.mgz", "carl/mri/aseg.mgz", "README")
    found = ["anna/mri/orig.mgz", "bert/mri/rawavg.mgz", "carl/mri/T1.mgz"]
    assert under(tmp_path, expand([tmp_path])) == found
    for named in (tmp_path / "anna", tmp_path / "anna" / "mri"):
        assert under(tmp_path, expand([named])) == ["anna/mri/orig.mgz"]
    touch(tmp_path, "dataset_description.json")  # as some derivatives have it
    assert under(tmp_path, expand([tmp_path])) == found


def test_without_pydicom_nifti_goes_on_and_dicom_alone_is_refused_at_once(tmp_path, monkeypatch):
    touch(tmp_path, "a.nii.gz", "deep/b.nii")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    library.pydicom.cache_clear()
    assert under(tmp_path, expand([tmp_path])) == ["a.nii.gz", "deep/b.nii"]
    dicom(tmp_path, "study/1", "study/2")
    assert under(tmp_path, expand([tmp_path])) == ["a.nii.gz", "deep/b.nii", "study"]
    with pytest.raises(CapabilityError, match="pydicom"):
        scan.read(tmp_path / "study")
    with pytest.raises(CapabilityError, match="pydicom"):
        expand([tmp_path / "study"])


def test_a_pair_is_known_by_both_its_files(tmp_path):
    touch(tmp_path, "a.hdr", "a.img", "b.hdr")
    touch(tmp_path, "b.img", content=b"other")
    one, other = (content_digest(tmp_path / name) for name in ("a.hdr", "b.hdr"))
    assert one != other
    assert content_digest(tmp_path / "a.img") == one
    touch(tmp_path, "c.nii")
    assert content_digest(tmp_path / "c.nii") == hashlib.sha256(b"x").hexdigest()
