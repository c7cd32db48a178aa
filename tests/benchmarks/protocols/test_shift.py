from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.protocols import pairing
from benchmarks.protocols.study import Study
from fmtool.task import AGE, SEX

StudyOf = Callable[..., Study]


def labelled(study: Study, labels: np.ndarray, sites: list[str] | None = None) -> Study:
    rows = [replace(r, label=float(y)) for r, y in zip(study.rows, labels, strict=True)]
    if sites:
        rows = [replace(r, site=s) for r, s in zip(rows, sites, strict=True)]
    return replace(study, rows=rows)


def test_how_well_a_label_tells_two_sites_apart() -> None:
    assert pairing.tells(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 1.0
    assert pairing.tells(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 1.0
    assert pairing.tells(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0.5


def test_labels_that_go_with_the_site_are_warned_of(study_of: StudyOf) -> None:
    young = labelled(study_of(AGE, 20), np.linspace(20, 40, 20))
    same = labelled(study_of(AGE, 20), np.linspace(20.5, 40.5, 20))
    old = labelled(study_of(AGE, 20), np.linspace(60, 80, 20))
    assert "WARNING" not in pairing.warning(young, same)
    told = pairing.warning(young, old)
    assert "WARNING: label and site go together" in told
    assert "AUC of 1.00" in told
    assert "30.0 +- 6.1 years" in told


def test_shares_of_a_class(study_of: StudyOf) -> None:
    study = study_of(SEX, 20)
    men = labelled(study, np.ones(20))
    assert "50% M in micro.csv, 100% M" in pairing.warning(study, men)
    assert "WARNING" in pairing.warning(study, men)


@pytest.mark.parametrize("confounded", [False, True])
def test_sites_within_the_training_scans(confounded: bool, study_of: StudyOf) -> None:
    labels = np.linspace(20, 80, 20)
    sites = ["a"] * 10 + ["b"] * 10 if confounded else ["a", "b"] * 10
    told = pairing.spread_within(labelled(study_of(AGE, 20), labels, sites))
    assert (told is not None) == confounded
    assert not confounded or ("tells a from b" in str(told) and "1.00" in str(told))
