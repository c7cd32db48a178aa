from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.protocols import study as studies
from benchmarks.protocols.study import Study, folds
from fmtool.errors import InputError
from fmtool.task import AGE, SEX, Task

StudyOf = Callable[..., Study]


@pytest.mark.parametrize("task", [AGE, SEX])
def test_no_subject_is_in_two_parts_and_every_scan_is_tested_once(
    study_of: StudyOf, task: Task
) -> None:
    study = study_of(task, 24, 2)
    names = np.array(study.subjects)
    plan = folds(study, 3, 0)
    tested = np.concatenate([fold.test for fold in plan])
    assert sorted(tested) == list(range(48))
    for fold in plan:
        parts = [set(names[part]) for part in (fold.train, fold.validation, fold.test)]
        assert all(parts)
        assert sum(map(len, parts)) == 24 == len(set.union(*parts))
        assert len(parts[1]) == 4
        assert sorted(fold.fitted) == sorted(set(range(48)) - set(fold.test))
        if task is SEX:
            assert len(set(study.labels[fold.validation])) == 2


def test_folds_follow_from_the_seed(study_of: StudyOf) -> None:
    study = study_of()
    again, other = folds(study, 3, 1), folds(study, 3, 2)
    for one, two in zip(folds(study, 3, 1), again, strict=True):
        np.testing.assert_array_equal(one.validation, two.validation)
    assert any(list(a.test) != list(b.test) for a, b in zip(again, other, strict=True))


def test_sites_and_subsets(study_of: StudyOf) -> None:
    study = study_of(AGE, 8)
    assert {name: len(i) for name, i in study.sites.items()} == {"north": 4, "south": 4}
    south = study.take(study.sites["south"])
    assert {row.site for row in south.rows} == {"south"}
    assert [e.facts["digest"] for e in south.entries] == ["d2", "d3", "d6", "d7"]


def test_brain_volume_is_the_facts_or_the_masks(study_of: StudyOf) -> None:
    study = study_of(AGE, 8)
    entry = study.entries[0]
    assert study.volumes_ml[0] == entry.mask.sum()
    del entry.facts["brain_volume_ml"]
    assert study.volumes_ml[0] == entry.mask.sum() / 1000


def test_synthetic_cohorts_are_told_by_their_description(tmp_path: Path) -> None:
    assert not studies.is_synthetic(tmp_path)
    description = tmp_path / "dataset_description.json"
    description.write_text(json.dumps({"Name": "x", "Synthetic": True}))
    assert studies.is_synthetic(tmp_path)
    description.write_text("[")
    with pytest.raises(InputError, match="no JSON object"):
        studies.is_synthetic(tmp_path)
