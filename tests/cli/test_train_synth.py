"""`fmtool train synth`: what it writes, what it says, what it refuses."""

from __future__ import annotations

import csv

import pytest

pytest.importorskip("torch")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "table", "mark"),
    [((), "participants.tsv", "\t"), (("--prepared",), "cohort.csv", ",")],
)
def test_a_cohort_and_a_second_one_in_its_place(fmtool, tmp_path, words, table, mark):
    command = ("train", "synth", tmp_path / "heads", "-n", 2, "--seed", 3, *words)
    done = fmtool(*command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "heads" / (table if words else ""))
    assert "SYNTHETIC" in done.stderr
    with (tmp_path / "heads" / table).open() as stream:
        rows = list(csv.DictReader(stream, delimiter=mark))
    assert [row["participant_id"] for row in rows] == ["sub-syn0001", "sub-syn0002"]
    assert {row["sex"] for row in rows} == {"F", "M"}

    again = fmtool(*command)
    assert again.returncode == 1
    assert "is not an empty folder and is left as it is; name another one" in again.stderr


def test_no_subjects_is_a_usage_error(fmtool, tmp_path):
    done = fmtool("train", "synth", tmp_path / "heads", "-n", 0, "--seed", 3)
    assert done.returncode == 2
    assert not (tmp_path / "heads").exists()
