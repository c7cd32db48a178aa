"""What is said of the answers of many scans, and whom a table's row is of."""

from __future__ import annotations

import pytest

from runtime.report import words
from runtime.report.columns import who


def result(learnt=False, verdict="ok"):
    return {
        "values": {"age": {"evidence": {}, "learnt_from": learnt}},
        "quality": [{"verdict": verdict}],
    }


def test_a_batch_ends_with_what_its_answers_are_worth():
    assert words.of_batch([result(), result()]) == []
    said = words.of_batch([result(True), result(True, "warn"), result(False, "warn")])
    assert said == [
        "age: 2 of 3 answers are no predictions: the head was fitted on these very scans "
        "(age_learnt_from in the tables)",
        "2 of 3 scans have a check that warns (checks in the tables)",
    ]


@pytest.mark.parametrize(
    ("scan", "name"),
    [
        ("IXI013-HH-1212_T1w.nii.gz", "IXI013-HH-1212"),
        ("in/sub-07/anat/sub-07_T1w.nii.gz", "sub-07"),
        ("head_T1w_b.nii", "head_T1w_b"),
        ("_T1w.nii", "scan"),
    ],
)
def test_a_participants_name_is_the_files_without_what_it_shows(scan, name):
    assert who(scan)["participant_id"] == name
