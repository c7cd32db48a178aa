"""Scaling, out of distribution, and other contrasts, microscopic; and their scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from benchmarks.protocols import (
    command,
    contrasts,
    out_of_distribution,
    pairing,
    pretrained,
    scaling,
    size,
)
from benchmarks.protocols import study as studies_module
from benchmarks.protocols.bench import Bench
from benchmarks.protocols.out_of_distribution import INSIDE, OUTSIDE, WITHIN
from benchmarks.protocols.size import Size
from benchmarks.protocols.study import Study, folds
from fmtool import task as tasks
from fmtool.errors import InputError, UsageError
from fmtool.task import AGE, SEX

StudyOf = Callable[..., Study]


def changed(study: Study, name: str, voxels: Callable[[np.ndarray], np.ndarray]) -> Study:
    """The same people with other voxels, as another study."""
    entries = [
        SimpleNamespace(
            volume=voxels(e.volume), mask=e.mask, facts={**e.facts, "digest": f"{name}{i}"}
        )
        for i, e in enumerate(study.entries)
    ]
    return replace(study, name=name, entries=entries)


def test_subsets_of_the_subjects_are_nested() -> None:
    subjects = [f"s{i // 2}" for i in range(32)]
    found = scaling.nested(subjects, (1.0, 0.25, 0.5), 0)
    assert list(found) == [0.25, 0.5, 1.0]
    assert [len(v) for v in found.values()] == [8, 16, 32]
    assert set(found[0.25]) < set(found[0.5]) < set(found[1.0])
    for some in found.values():
        assert len({subjects[i] for i in some}) == len(some) / 2


def test_scaling(study_of: StudyOf, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.size = replace(bench.size, pretrain_epochs=2)
    seen = []
    whole = pretrained.encoder

    def spied(recipe, entries, settings, cache):  # type: ignore[no-untyped-def]
        seen.append((len(entries), settings.epochs * (len(entries) // settings.batch)))
        return whole(recipe, entries, settings, cache)

    monkeypatch.setattr(pretrained, "encoder", spied)
    report = scaling.run([study_of(AGE, 16), study_of(SEX, 16)], bench, count=2)
    assert seen == [(4, 8), (8, 8), (16, 8)]  # an eighth does not fill a batch of four
    assert [row["pretrained"] for row in report.rows] == [0, 4, 8, 16] * 2
    assert any("0.125 of the subjects" in remark for remark in report.remarks)
    for task, sign in (("age", 1), ("sex", -1)):
        law = report.facts["laws"][task]
        assert (law["b_low"], law["b_high"]) == (None, None)  # of one seed
        fitted = [row["law"] for row in report.rows if row["task"] == task and "law" in row]
        assert sign * np.diff(fitted)[0] * law["b"] <= 0
    assert len(scaling.plot(report).axes) == 2


def test_scaling_finds_a_known_law(
    study_of: StudyOf, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(AGE, 64)
    signs = np.where(np.arange(64) % 2 == 0, 1.0, -1.0)

    def embedded(studies, bench, pool, plans, kept, seed):  # type: ignore[no-untyped-def]
        def x(n: float) -> np.ndarray:
            return study.labels + signs * 8.0 * n**-0.4

        sizes = {f: len(plans[0][f]) for f in kept} | {0.0: 1}
        return {(f, r): x(size) for f, size in sizes.items() for r in range(len(plans))}

    monkeypatch.setattr(scaling, "_embedded", embedded)
    monkeypatch.setattr(scaling, "probed", lambda x, study, plan: x)
    report = scaling.run([study], bench, count=2, seeds=3)
    law = report.facts["laws"]["age"]
    assert (law["a"], law["b"]) == (pytest.approx(8.0), pytest.approx(0.4))
    assert (law["b_low"], law["b_high"]) == (pytest.approx(0.4), pytest.approx(0.4))
    assert law["learnt"]
    assert any("b is 0.400 [0.400, 0.400]." in remark for remark in report.remarks)
    for row in report.rows[1:]:
        assert row["value"] == pytest.approx(row["law"]) == 8.0 * row["pretrained"] ** -0.4


def test_a_law_of_noise_is_called_so(
    study_of: StudyOf, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(AGE, 32)
    noise = np.random.default_rng(0).normal(0, 60, len(study.rows))

    def embedded(studies, bench, pool, plans, kept, seed):  # type: ignore[no-untyped-def]
        return {(f, 0): study.labels + (1 + f) * noise for f in (0.0, *kept)}

    monkeypatch.setattr(scaling, "_embedded", embedded)
    monkeypatch.setattr(scaling, "probed", lambda x, study, plan: x)
    report = scaling.run([study], bench, count=2)
    assert not report.facts["laws"]["age"]["learnt"]
    assert any("law of noise" in remark for remark in report.remarks)


def test_scaling_refuses_what_it_cannot_do(study_of: StudyOf, bench: Bench) -> None:
    study = study_of(AGE, 16)
    with pytest.raises(UsageError, match="once per size"):
        scaling.run([study], replace(bench, transductive=False))
    with pytest.raises(InputError, match="3 sizes"):
        scaling.run([study], bench, floor=True)


def test_out_of_distribution(
    study_of: StudyOf, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = study_of(AGE, 24)
    target = changed(source.take(np.arange(16)), "target", lambda v: 0.8 * v)
    pools = []
    whole = pretrained.encoder

    def spied(recipe, entries, settings, cache):  # type: ignore[no-untyped-def]
        pools.append({entry.facts["digest"] for entry in entries})
        return whole(recipe, entries, settings, cache)

    monkeypatch.setattr(pretrained, "encoder", spied)
    report = out_of_distribution.run([(source, target)], bench, count=2)
    rows = {(row["system"], row["sample"]): row for row in report.rows}
    assert len(rows) == 4 * 3
    assert all(pool == {e.facts["digest"] for e in source.entries} for pool in pools)
    for system in out_of_distribution.DEFAULT:
        outside = rows[system, OUTSIDE]
        assert outside["scans"] == 16
        assert outside["shift"] == pytest.approx(outside["value"] - rows[system, INSIDE]["value"])
        assert outside["shift_low"] <= outside["shift"] <= outside["shift_high"]
        assert outside["versus"] == pytest.approx(outside["value"] - rows[system, WITHIN]["value"])
    fixed = [np.median(source.labels[fold.fitted]) for fold in folds(source, 2, 42)]
    error = np.mean([np.abs(target.labels - one).mean() for one in fixed])
    assert rows["constant", OUTSIDE]["value"] == pytest.approx(error)
    assert rows["constant", OUTSIDE]["repeats"] == 2  # the two folds' own heads
    assert any("a label alone tells" in remark for remark in report.remarks)


def test_a_small_other_is_tested_but_not_cross_validated(study_of: StudyOf, bench: Bench) -> None:
    source = study_of(AGE, 24)
    target = changed(source.take(np.arange(3)), "target", lambda v: v)
    report = out_of_distribution.run([(source, target)], bench, ("brain volume",), count=2)
    assert [row["sample"] for row in report.rows] == [INSIDE, OUTSIDE]
    assert any("target is not cross-validated by itself" in r for r in report.remarks)
    assert any("3 subjects of target are few" in r for r in report.remarks)


def test_a_scan_in_both_is_refused(study_of: StudyOf, bench: Bench) -> None:
    study = study_of(AGE, 24)
    with pytest.raises(InputError, match="the same scan"):
        out_of_distribution.run([(study, study.take(np.arange(12, 24)))], bench, count=2)


def test_a_site_is_parted(study_of: StudyOf) -> None:
    study = study_of(AGE, 24)
    source, target = pairing.by_site(study, ["south"])
    assert (list(source.sites), list(target.sites)) == (["north"], ["south"])
    assert (source.name, target.name) == ("micro.csv (north)", "micro.csv (south)")
    with pytest.raises(InputError, match="no site 'west'; it has north, south"):
        pairing.by_site(study, ["west"])
    with pytest.raises(InputError, match="none is left"):
        pairing.by_site(study, ["north", "south"])
    rows = [replace(study.rows[0], site="south"), *study_of(AGE, 24).rows[1:]]
    travelled = replace(study, rows=[replace(r, subject="sub-00") for r in rows])
    with pytest.raises(InputError, match="sub-00 was scanned inside and outside"):
        pairing.by_site(travelled, ["south"])
    unknown = replace(study, rows=[replace(study.rows[0], site=None), *study.rows[1:]])
    with pytest.raises(InputError, match="line 2 has no site"):
        pairing.by_site(unknown, ["south"])


def test_contrasts(study_of: StudyOf, bench: Bench) -> None:
    t1 = study_of(AGE, 24)
    inverted = changed(t1, "inverted", lambda v: -v)
    report = contrasts.run([(t1, inverted.take(np.arange(23, -1, -1)))], bench, "T2", 2)
    assert [(r["system"], r["trained"], r["tested"]) for r in report.rows] == [
        (system, *way)
        for system in contrasts.ENCODERS
        for way in (("T1w", "T1w"), ("T2", "T2"), ("T1w", "T2"))
    ]
    assert "versus" not in report.rows[0]
    for row in (report.rows[2], report.rows[5]):
        assert row["versus_low"] <= row["versus"] <= row["versus_high"]
    assert any("made for T1w" in remark for remark in report.remarks)


def test_an_equal_contrast_changes_nothing(study_of: StudyOf, bench: Bench) -> None:
    t1 = study_of(AGE, 24)
    same = changed(t1, "same", lambda v: 3.0 * v)  # which the z-score undoes
    for row in contrasts.run([(t1, same)], bench, "T2", 2).rows:
        if "versus" in row:
            assert row["versus"] == pytest.approx(0.0, abs=1e-3)


def test_only_the_subjects_of_both_and_one_scan_each(study_of: StudyOf) -> None:
    study = study_of(AGE, 12)
    first, second, left_out = contrasts.aligned(
        study.take(np.arange(10)), study.take(np.arange(11, 3, -1))
    )
    assert first.subjects == second.subjects == [f"sub-{i:02d}" for i in range(4, 10)]
    assert left_out == 10 + 8 - 12
    with pytest.raises(InputError, match="second scan"):
        contrasts.aligned(study_of(AGE, 12, 2), study)
    with pytest.raises(InputError, match="share no subject"):
        contrasts.aligned(study.take(np.arange(3)), study.take(np.arange(3, 6)))
    older = replace(study, rows=[replace(r, label=r.label + 1) for r in study.rows])
    with pytest.raises(InputError, match="age of sub-00"):
        contrasts.aligned(study, older)


@pytest.fixture
def from_disk(study_of: StudyOf, micro: Size, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are made up, by their name."""

    def read(table: Path, task, cache, allow_sites=False, jobs=1):  # type: ignore[no-untyped-def]
        made = study_of(task, 48)
        return made if table.name == "t1" else changed(made, table.name, lambda v: -v)

    monkeypatch.setitem(size.SIZES, "toy", lambda: micro)
    monkeypatch.setattr(studies_module, "read", read)
    monkeypatch.setattr(
        command,
        "study",
        lambda args, task, table=None: read(table or args.cohort, tasks.get(task), None),
    )


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        (scaling, ["--task", "age"]),
        (out_of_distribution, ["--test", "other", "--system", "LP SimCLR"]),
        (out_of_distribution, ["--test-site", "south", "--task", "age"]),
        (contrasts, ["--other", "t2", "--name", "T2", "--task", "age"]),
    ],
)
@pytest.mark.usefixtures("from_disk")
def test_each_script_writes_its_three_files(
    protocol: ModuleType,
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shared = ["--folds", "2", "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    monkeypatch.setattr(sys, "argv", ["x", "t1", *shared, *words])
    protocol.main()
    content = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert content["protocol"] == protocol.__name__.split(".")[-1]
    names = {f.name for f in (tmp_path / "out").iterdir()}
    assert names == {"results.json", "results.csv", "plot.png"}
    assert "SYNTHETIC" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["--test", "other", "--test-site", "south"]])
@pytest.mark.usefixtures("from_disk")
def test_one_way_to_say_where_to_test(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "t1", "--out", str(tmp_path), *words])
    with pytest.raises(UsageError, match="--test COHORT, or --test-site"):
        out_of_distribution.main()


@pytest.mark.usefixtures("from_disk")
def test_the_other_contrast_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["x", "t1", "--other", "t2", "--name", "T1w", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(UsageError, match="cannot be called T1w"):
        contrasts.main()
