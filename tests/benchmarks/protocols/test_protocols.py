"""Each protocol from a study to its report, microscopic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.protocols import ablation, label_efficiency, matched_sex, methods
from benchmarks.protocols.bench import Bench
from benchmarks.protocols.report import curves, forest
from benchmarks.protocols.study import Study, folds
from fmtool.errors import InputError, UsageError
from fmtool.task import AGE, SEX

StudyOf = Callable[..., Study]


def test_methods(study_of: StudyOf, bench: Bench) -> None:
    studies = [study_of(AGE, 16), study_of(SEX, 16)]
    report = methods.run(studies, bench, ("LP SimCLR", "supervised ViT-Tiny"), 2, 2, 0)
    assert [(row["task"], row["system"]) for row in report.rows] == [
        (task, name)
        for task in ("age", "sex")
        for name in ("constant", "brain volume", "LP SimCLR", "supervised ViT-Tiny")
    ]
    for row in report.rows:
        assert row["repeats"] == 2
        assert row["low"] <= row["value"] <= row["high"]
        if row["system"] == "constant":
            assert row["difference"] == pytest.approx(0)
            assert not row["beats_baseline"]
    assert report.rows[4]["value"] == 0.5  # one answer for everybody
    assert report.facts["synthetic"]
    assert any("TRANSDUCTIVE" in remark for remark in report.remarks)
    forest(report.rows, report.title)


def test_subsets_of_the_labels_are_nested_and_spare_the_test_part(study_of: StudyOf) -> None:
    study = study_of(SEX, 48, 2)
    names = np.array(study.subjects)
    for fold in folds(study, 3, 0):
        found = label_efficiency.nested(study, fold, (0.5, 0.25, 1.0), 0)
        sets = [set(names[found[f].fitted]) for f in (0.25, 0.5, 1.0)]
        assert [len(s) for s in sets] == [8, 16, 32]
        assert sets[0] < sets[1] < sets[2]
        assert not sets[2] & set(names[fold.test])
        for one in found.values():
            np.testing.assert_array_equal(one.test, fold.test)
            assert not set(names[one.train]) & set(names[one.validation])
        few = [s for s in sets[0] if study.labels[names == s][0] == 1]
        assert len(few) == 4  # of eight: the classes' shares are kept


def test_label_efficiency(study_of: StudyOf, bench: Bench) -> None:
    studies = [study_of(AGE, 32)]
    systems = ("LP SimCLR", "supervised ResNet-18")
    report = label_efficiency.run(studies, bench, systems, (0.1, 0.6, 1.0), 2, 2, 0)
    assert [(r["system"], r["fraction"]) for r in report.rows] == [
        (s, f) for f in (0.6, 1.0) for s in systems
    ]
    assert any("10% of the labels is left out" in remark for remark in report.remarks)
    assert report.rows[0]["labelled"] == 10.0
    assert report.rows[-1]["labelled"] == 16.0
    assert all(row["seed_sd"] >= 0 for row in report.rows)
    # One encoder, whatever the seed of the folds.
    assert len(list((bench.cache / "pretrained").iterdir())) == 1
    curves(report.rows, "", "fraction", "share", log=True)
    with pytest.raises(InputError, match="too few subjects for any fraction"):
        label_efficiency.run(studies, bench, systems, (0.1,), 2, 1, 0)


def test_the_shift_changes_views_by_rounding_alone_and_the_others_do_not(
    study_of: StudyOf, bench: Bench
) -> None:
    study = study_of(AGE, 16)
    entries = [
        type(e)(volume=e.volume * 300 + 500, mask=e.mask, facts=e.facts) for e in study.entries
    ]
    report = ablation.run([replace(study, entries=entries)], bench, 2, 0)
    rows = {row["system"]: row for row in report.rows}
    assert list(rows) == [
        "all",
        "without crop",
        "without flip",
        "without gamma",
        "without rotation",
        "with shift",
        "all, intensities x 1.5",
    ]
    assert 0 < report.facts["shift_view_change"] < 1e-5
    for name in ("with shift", "all, intensities x 1.5"):
        assert 0 < abs(rows[name]["first_change"]) < 1e-5
        assert rows[name]["same_steps"] == 4 == rows[name]["steps"]
    for name in ("without crop", "without gamma"):
        assert abs(rows[name]["first_change"]) > 1e-3
        assert rows[name]["same_steps"] == 0
    assert rows["all"]["first_change"] == rows["all"]["versus"] == 0
    bench.transductive = False
    with pytest.raises(UsageError, match="once per variant"):
        ablation.run([study], bench, 2, 0)


def test_matched_sex(study_of: StudyOf, bench: Bench) -> None:
    study = study_of(SEX, 24, 2)
    rng = np.random.default_rng(0)
    sizes = {name: rng.normal(1200, 90) for name in sorted(set(study.subjects))}
    for entry, row in zip(study.entries, study.rows, strict=True):
        entry.facts["brain_volume_ml"] = sizes[row.subject] + 100 * row.label
    report = matched_sex.run(study, bench, ("LP random",), 0.2, 2, 0)
    assert [(r["system"], r["sample"]) for r in report.rows] == [
        (s, w)
        for s in ("brain volume itself", "LP random")
        for w in ("all", "matched", "within pairs")
    ]
    assert report.rows[0]["subjects"] == 24
    sexes = dict(zip(study.subjects, study.labels, strict=True))
    assert len(report.facts["pairs"]) == report.rows[1]["pairs"] >= 2
    assert all(sexes[w] == 0 and sexes[m] == 1 for w, m in report.facts["pairs"])
    assert abs(report.facts["gap_after_ml"]) < abs(report.facts["gap_before_ml"])
    forest(report.rows, report.title, panel="sample")
    with pytest.raises(InputError, match="wider --caliper"):
        matched_sex.run(study, bench, (), 1e-9, 2, 0)
    with pytest.raises(UsageError, match="the task is sex"):
        matched_sex.run(study_of(AGE, 24), bench, (), 0.2, 2, 0)
