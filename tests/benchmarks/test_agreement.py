"""The benchmarks' own arithmetic; their figures are not tested, they are measured."""

import numpy as np
import pytest

from benchmarks import agreement
from benchmarks.shared import heads


def test_distances_are_in_units_of_two_subjects_of_one_set():
    def at(x):
        return np.array([x, 0.0], dtype=np.float32)

    found = {
        "raw/a": {"reference": at(0), "fmtool": at(1)},
        "raw/b": {"reference": at(10), "fmtool": at(12)},
        "ixi2mm/c": {"reference": at(100), "fmtool": at(103)},
    }
    summary = agreement.summarise(found)
    assert summary["heads"] == 3
    assert summary["between_subjects_same_set"] == pytest.approx(10)
    assert summary["between_subjects_all"] == pytest.approx(90)
    assert summary["relative_to_same_set"]["fmtool"]["median"] == pytest.approx(0.2)
    assert summary["relative_to_same_set"]["fmtool"]["max"] == pytest.approx(0.3)


def test_heads_are_found_and_labelled_by_set(tmp_path):
    for name in ("raw/x_T1w.nii.gz", "cohort/sub-1_T1w.nii.gz", "raw/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = heads.find(tmp_path)
    assert [heads.label(path) for path in found] == ["raw/x_T1w", "cohort/sub-1_T1w"]
    with pytest.raises(FileNotFoundError, match="FMTOOL_TEST_DATA"):
        heads.find(tmp_path, ("ixi2mm",))
