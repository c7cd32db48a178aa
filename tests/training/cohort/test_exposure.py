"""Whom an encoder has seen: the same voxels, the same file, the same person; and who is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fmtool.errors import InputError
from fmtool.task import AGE
from training.cohort import Cohort, Row, names
from training.cohort.duplicates import refuse_twins
from training.cohort.exposure import exposure, overlap, refuse_labelled


def made(*people: str, digests: str = "", source: str = "") -> tuple[Cohort[Any], list[Any]]:
    """A scan of each person; its voxels and file are its own, or the letters that are given."""
    rows = [Row(p, Path(f"{p}-{i}.nii"), None, 30.0, None, i) for i, p in enumerate(people)]
    facts = [
        {"digest": digests[i : i + 1] or f"voxels of {p}", "source_sha256": source[i : i + 1]}
        for i, p in enumerate(people)
    ]
    return Cohort(Path("t.csv"), AGE, rows), [SimpleNamespace(facts=one) for one in facts]


@pytest.mark.parametrize(
    ("other", "seen"),
    [
        (made("d", "e"), 0),
        (made("a", "e", digests="xy"), 1),  # another session of the same person
        (made("d", "e", digests="1z"), 1),  # the same voxels under another name
        (made("d", "e", digests="xy", source="f "), 1),  # the same file, prepared otherwise
        (made("SUB-A".lower(), "b"), 2),
    ],
)
def test_whoever_was_seen_is_found(other, seen):
    shown = exposure(*made("a", "b", digests="12", source="fg"), labels=False)
    found = overlap(shown, *other)
    assert (found.images, found.labels, found.of) == (seen, 0, 2)
    refuse_labelled(found, other[0], "the table")
    found = overlap(exposure(*made("a", "b", digests="12", source="fg"), labels=True), *other)
    if seen:
        with pytest.raises(InputError, match=f"labels of {seen} of the 2 subjects of the table"):
            refuse_labelled(found, other[0], "the table")


def test_nameless_scans_that_were_pretrained_on_leave_it_open_who_was_seen():
    cohort, entries = made("a", "b")
    nameless = Row("x.nii", Path("x.nii"), None, 30.0, None, 3)
    whole = Cohort(cohort.path, AGE, [*cohort.rows, nameless])
    assert exposure(cohort, entries, labels=False).complete
    assert not exposure(whole, [*entries, entries[0]], labels=False).complete


def test_the_same_voxels_under_two_names_are_refused_by_both():
    with pytest.raises(InputError, match=r"b-1\.nii \(line 1\) holds the same voxels as a-0\.nii"):
        refuse_twins(*made("a", "b", "c", digests="xxy"))
    refuse_twins(*made("a", "b", "c"))


@pytest.mark.parametrize(
    ("path", "person"),
    [
        ("OAS1_0001_MR1/T1.nii", "OAS1_0001"),
        ("oasis/OAS1_0001_MR2_mpr-1.nii.gz", "OAS1_0001"),
        ("OAS30001_MR_d0129.nii.gz", "OAS30001"),
        ("ADNI_002_S_0295_MR_MPRAGE_Br_20081001_I118690.nii", "002_S_0295"),
        ("IXI012-HH-1211-T1.nii.gz", "IXI012"),
        ("1234567_20252_2_0/T1.nii.gz", "1234567"),
        ("HCA6002236_V1_MR/T1w.nii.gz", "HCA6002236"),
        ("OAS30001/sub-02_T1w.nii", "sub-02"),
        ("ses-1/scan7.nii", None),
        ("study_20252_2_0/12345678.nii", None),
        ("PIXI0123.nii", None),
    ],
)
def test_names_of_data_sets_are_read_as_their_people(path, person):
    assert names.subject_of(Path(path)) == person


def test_a_column_that_names_visits_is_read_as_people():
    assert names.person("OAS1_0001_MR1") == names.person("OAS1_0001_MR2") == "OAS1_0001"
    assert names.person("patient 7") == "patient 7"
