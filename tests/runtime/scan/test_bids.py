"""Which files of a BIDS data set are heads as they were scanned."""

from __future__ import annotations

import os

import pytest

from runtime.scan import bids

ANAT = "sub-01/anat/sub-01"


def put(top, *names):
    for name in names:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).touch()


def heads(top):
    return [path.relative_to(top).as_posix() for path in bids.heads(top)]


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("T1w.nii", True),
        ("T1w.nii.gz", True),
        ("acq-mprage_rec-norm_run-2_T1w.nii.gz", True),
        ("UNIT1.nii.gz", True),
        ("acq-x_part-mag_T1w.nii.gz", True),
        ("desc-preproc_T1w.nii.gz", True),
        ("space-orig_desc-preproc_T1w.nii.gz", True),
        ("space-MNI152NLin2009cAsym_desc-preproc_T1w.nii.gz", False),
        ("space-fsnative_T1w.nii.gz", False),
        ("part-phase_T1w.nii.gz", False),
        ("part-imag_UNIT1.nii.gz", False),
        ("part-real_T1w.nii.gz", False),
        ("inv-1_MP2RAGE.nii.gz", False),
        ("inv-2_T1w.nii.gz", False),
        ("T2w.nii.gz", False),
        ("T1map.nii.gz", False),
        ("desc-brain_mask.nii.gz", False),
        ("T1w_sbref.nii.gz", False),
        ("acq-T1w_magnitude1.nii.gz", False),
        ("mod-T1w_defacemask.nii.gz", False),
        ("T1w.json", False),
        ("T1w.nii.gz.part", False),
    ],
)
def test_native_t1w_and_unit1_and_nothing_else(tmp_path, name, taken):
    put(tmp_path, f"{ANAT}_{name}")
    assert heads(tmp_path) == ([f"{ANAT}_{name}"] if taken else [])


def test_sessions_and_only_the_anatomical_folders(tmp_path):
    put(
        tmp_path,
        "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz",
        f"{ANAT}_T1w.nii.gz",
        "sub-01/anat/old/sub-01_T1w.nii.gz",
        "sub-01/func/sub-01_T1w.nii.gz",
        "sub-01/fmap/sub-01_magnitude1.nii.gz",
        "derivatives/x/sub-01/anat/sub-01_T1w.nii.gz",
        "sourcedata/sub-01/anat/sub-01_T1w.nii.gz",
    )
    assert heads(tmp_path) == [f"{ANAT}_T1w.nii.gz", "sub-02/ses-1/anat/sub-02_ses-1_T1w.nii.gz"]


def test_of_several_echoes_the_combined_or_the_first(tmp_path):
    put(tmp_path, f"{ANAT}_echo-2_T1w.nii.gz", f"{ANAT}_echo-10_T1w.nii.gz")
    assert heads(tmp_path) == [f"{ANAT}_echo-2_T1w.nii.gz"]
    put(tmp_path, f"{ANAT}_T1w.nii.gz")
    assert heads(tmp_path) == [f"{ANAT}_T1w.nii.gz"]
    put(tmp_path, f"{ANAT}_run-1_echo-1_T1w.nii.gz")
    assert len(heads(tmp_path)) == 2


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ("", "abcd"),
        ("# sub-01/\n\n", "abcd"),
        ("sub-01/", "cd"),
        ("/sub-01", "cd"),
        ("sub-0[12]", "d"),
        ("sub-0[!1]", "abd"),
        ("*_acq-bad_*", "acd"),
        ("**/*_acq-bad_*\n", "acd"),
        ("sub-*/**/*run-1*", "abd"),
        ("sub-01/anat/*T1w*", "cd"),
        ("anat/*T1w*", "abcd"),  # a slash within ties a rule to the top
        ("*T1w.nii.gz/", "abcd"),  # of folders only
        ("sub-0?\n!sub-02", "cd"),
        ("*acq-bad*\n!*acq-bad*", "abcd"),
        ("sub-01/\n!sub-01/anat/sub-01_T1w.nii.gz", "cd"),  # nothing in it comes back
        ("*.nii.gz   ", ""),
        ("ses-1/", "abd"),
        ("sub-01/**", "cd"),
        ("sub-*1*/**/*T1w*", "c"),
        ("s*0*2/**", "abd"),
        ("sub-02[!x]ses-1/", "abcd"),
        ("*bad*T?w.*.gz", "acd"),
        ("*w.nii.gz", ""),
        ("sub-01/[z-a]*\n[", "abcd"),  # no pattern at all
        ("\\*T1w.nii.gz\nsub\\-01", "cd"),
    ],
)
def test_bidsignore_is_obeyed_as_git_obeys_its_own(tmp_path, rules, left):
    files = {
        "a": f"{ANAT}_T1w.nii.gz",
        "b": f"{ANAT}_acq-bad_T1w.nii.gz",
        "c": "sub-02/ses-1/anat/sub-02_ses-1_run-1_T1w.nii.gz",
        "d": "sub-103/anat/sub-103_T1w.nii.gz",
    }
    put(tmp_path, *files.values())
    (tmp_path / ".bidsignore").write_text(rules)
    assert heads(tmp_path) == sorted(files[letter] for letter in left)


def test_a_hostile_bidsignore_costs_no_time(tmp_path):
    name = f"sub-01/anat/sub-01_acq-{'a' * 200}_T1w.nii.gz"
    put(tmp_path, name)
    rules = ["*a" * 60 + "*b", "**/" * 60 + "b", "*" * 500 + "b", "[a-" * 100, "?*" * 60 + "b"]
    (tmp_path / ".bidsignore").write_text("\n".join(rules))
    assert heads(tmp_path) == [name]


def test_what_leads_nowhere_or_cannot_be_listed_is_not_left_out(tmp_path, monkeypatch):
    put(tmp_path, "sub-03/anat/sub-03_T1w.nii.gz", "sub-04/ses-1/anat/sub-04_ses-1_T1w.nii.gz")
    (tmp_path / "sub-01" / "anat").mkdir(parents=True)
    (tmp_path / f"{ANAT}_T1w.nii.gz").symlink_to("../../.git/annex/objects/ab/cd/KEY/KEY")
    (tmp_path / f"{ANAT}_T2w.nii.gz").symlink_to("../../.git/annex/objects/ab/cd/OTHER/OTHER")
    (tmp_path / "sub-02").symlink_to("elsewhere")
    scan = os.scandir

    def scandir(path):  # root may list everything, so the refusal itself is made
        if str(path).endswith("sub-04/ses-1"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert heads(tmp_path) == [
        f"{ANAT}_T1w.nii.gz",
        "sub-02",
        "sub-03/anat/sub-03_T1w.nii.gz",
        "sub-04/ses-1",
    ]


def test_what_makes_a_data_set(tmp_path):
    put(tmp_path, "a/sub-01_T1w.nii.gz", "a/participants.tsv")  # flat files
    put(tmp_path, "b/sub-01/ses-1/anat/x", "b/participants.tsv")
    put(tmp_path, "c/dataset_description.json")
    put(tmp_path, "d/sub-01/T1.nii.gz", "d/participants.tsv")  # somebody's own order
    assert [bids.is_dataset(tmp_path / name) for name in "abcd"] == [False, True, True, False]
