from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.protocols import pretrained
from benchmarks.protocols.bench import Bench, shrink
from benchmarks.protocols.study import Study, folds
from benchmarks.protocols.systems import SYSTEMS, cross_validate, find
from fmtool.errors import UsageError
from fmtool.task import AGE, SEX, Task
from training import encoders
from training.augment.whole import whole

StudyOf = Callable[..., Study]


@pytest.mark.parametrize("task", [AGE, SEX])
def test_every_system_predicts_every_scan_once(study_of: StudyOf, bench: Bench, task: Task) -> None:
    study = study_of(task, 16)
    plan = folds(study, 2, 0)
    for name, system in SYSTEMS.items():
        found = cross_validate(system, bench, study, plan, 0)
        assert found.shape == (16,), name
        assert np.isfinite(found).all(), name


def test_linear_systems_equal_their_obvious_definitions(study_of: StudyOf, bench: Bench) -> None:
    study = study_of(AGE, 16)
    fold = folds(study, 2, 0)[0]
    rest = np.setdiff1d(np.arange(16), fold.test)
    found = SYSTEMS["constant"](bench, study, fold, 0)
    np.testing.assert_allclose(found, np.median(study.labels[rest]))
    np.testing.assert_array_equal(SYSTEMS["constant"](bench, study_of(SEX, 16), fold, 0), 0.0)


def test_pretraining_and_fits_come_from_the_cache_the_second_time(
    study_of: StudyOf, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(AGE, 16)
    plan = folds(study, 2, 0)
    names = ("LP SimCLR", "FT SimCLR", "LP MAE")
    first = {n: cross_validate(SYSTEMS[n], bench, study, plan, 0) for n in names}
    assert len(list((bench.cache / "pretrained").iterdir())) == 2
    monkeypatch.setattr(pretrained.Loop, "run", lambda *_: pytest.fail("trained again"))
    again = Bench(bench.size, bench.cache)
    for name in names:
        found = cross_validate(SYSTEMS[name], again, study, plan, 0)
        np.testing.assert_array_equal(found, first[name])
    with pytest.raises(pytest.fail.Exception):  # another seed is another encoder
        cross_validate(SYSTEMS["LP SimCLR"], again, study, plan, 1)


def test_inductive_pretraining_never_sees_the_test_scans(study_of: StudyOf, bench: Bench) -> None:
    study = study_of(AGE, 16)
    fold = folds(study, 2, 0)[0]
    tested = {study.entries[i].facts["digest"] for i in fold.test}
    everything = {entry.facts["digest"] for entry in study.entries}
    assert {e.facts["digest"] for e in bench.scans(study, fold)} == everything
    bench.transductive = False
    assert {e.facts["digest"] for e in bench.scans(study, fold)} == everything - tested
    assert "TRANSDUCTIVE" not in bench.pretraining_sentence()
    fewer = replace(fold, train=fold.train[:2])  # labels may be few: the images are there
    assert len(bench.scans(study, fewer)) == len(everything - tested)


def test_a_given_encoder_is_used_and_left_as_it_is(study_of: StudyOf, bench: Bench) -> None:
    study = study_of(AGE, 16)
    encoder = pretrained.fresh("resnet18", bench.size, 7)
    before = encoders.digest(encoder)
    bench.given = {"simclr": encoder}
    plan = folds(study, 2, 0)
    probe = cross_validate(SYSTEMS["LP SimCLR"], bench, study, plan, 0)
    bench_random = cross_validate(SYSTEMS["LP random"], bench, study, plan, 7)
    np.testing.assert_array_equal(probe, bench_random)
    cross_validate(SYSTEMS["FT SimCLR"], bench, study, plan, 0)
    assert encoders.digest(encoder) == before
    assert not (bench.cache / "pretrained").exists()


def test_shrinking_changes_no_input(study_of: StudyOf) -> None:
    entry = study_of(AGE, 1).entries[0]
    small = shrink(entry, (16, 12, 14))
    wanted = whole(torch.from_numpy(entry.volume), torch.from_numpy(entry.mask), (16, 12, 14))
    found = whole(torch.from_numpy(small.volume), torch.from_numpy(small.mask), (16, 12, 14))
    torch.testing.assert_close(found, wanted)
    assert small.facts["digest"] != entry.facts["digest"]
    assert small.facts["brain_volume_ml"] == entry.facts["brain_volume_ml"]
    assert shrink(entry, (18, 18, 18)) is entry


def test_an_unknown_system_is_named() -> None:
    with pytest.raises(UsageError, match="unknown system 'LP'"):
        find("LP")
