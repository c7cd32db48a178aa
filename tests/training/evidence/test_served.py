"""A head made for one site says of its scans what the harmonised head says of harmonised ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fmtool.errors import InputError, UsageError
from fmtool.task import AGE, SEX, Task
from runtime.answer import answer
from runtime.trust.interval import interval
from tests.training.harmonise.share import cohort, planted
from training import probe
from training.evidence import difficulty
from training.evidence import head as heads
from training.evidence.served import served
from training.harmonise import Harmoniser

GRADE = Task("grade", "ordinal", "probability", "grade", classes=("a", "b", "c"))


def fitted(task, each=40):
    x, people, _ = planted(sites=3, each=each, task=AGE)
    if task is SEX:
        people = cohort(people.labels > 50, [row.site for row in people.rows], SEX)
    elif task is GRADE:
        grades = np.digitize(people.labels, np.quantile(people.labels, [1 / 3, 2 / 3]))
        people = cohort(grades, [row.site for row in people.rows], GRADE)
    return x, people, probe.fit(x, people, folds=3, repeats=1, by_site=Harmoniser(people))


@pytest.mark.parametrize("task", [AGE, SEX, GRADE], ids=["age", "sex", "grade"])
def test_folded_into_a_site_value_and_limits_are_those_of_harmonised_embeddings(task):
    x, _, found = fitted(task)
    head = found.head
    (one,) = served([head], "S1")
    assert one.harmonised is None
    scans = x[40:80]
    seen = head.harmonised.whole(scans, ["S1"] * 40)
    np.testing.assert_allclose(one(scans), head(seen), rtol=1e-9, atol=1e-9)
    for k, maps in enumerate(head.harmonised.folds):
        expected = [head.trust.folds.heads(e)[k] for e in maps(scans, ["S1"] * 40)]
        np.testing.assert_allclose(
            [one.trust.folds.heads(e)[k] for e in scans], expected, atol=1e-4
        )
    assert np.array_equal(one.trust.folds.score, head.trust.folds.score)
    p = one.trust.novelty.p_value(scans[0])
    assert p == head.trust.novelty.p_value(scans[0])  # of the scan as it is
    assert one.evidence["value"] == head.evidence["value"]
    assert one.evidence["harmonised"]["site"] == "S1"


def test_the_expected_error_of_a_scan_is_folded_too(monkeypatch):
    monkeypatch.setattr(difficulty, "FEWEST", 10)
    monkeypatch.setattr(difficulty, "SHORTER", 100.0)  # whatever it does to the intervals
    x, _, found = fitted(AGE)
    hard = found.head.trust.difficulty
    (one,) = served([found.head], "S0")
    for k, maps in enumerate(found.head.harmonised.folds):
        expected = [hard(e)[k] for e in maps(x[:40], ["S0"] * 40)]
        np.testing.assert_allclose(
            [one.trust.difficulty(e)[k] for e in x[:40]], expected, rtol=1e-4
        )
    assert interval(one.trust.folds, x[0], 0.9, one.trust.difficulty) is not None


def test_for_a_site_that_is_not_known_the_figures_are_those_of_sites_left_out():
    x, _, found = fitted(AGE)
    (one,) = served([found.head], None)
    assert np.array_equal(one.weight, found.head.weight)
    assert one.trust is None
    assert "trust" not in one.evidence
    pooled = found.head.evidence["leave_one_site_out"]["pooled"]
    assert one.evidence["value"] == pooled["value"]
    assert one.evidence["how"] == "leave-one-site-out"
    assert one.evidence["smoothed_scan"] is None
    said = answer(AGE, one(x[0]), one.evidence, x[0]).warnings
    assert any("harmonised to none of them: its figures are of sites left out" in s for s in said)


def test_the_answer_says_for_which_site_it_is():
    x, _, found = fitted(SEX)
    (one,) = served([found.head], "S2")
    said = answer(SEX, one(x[-1]), one.evidence, x[-1], one.trust).warnings
    assert any("harmonised by ComBat for scans of site S2: for another site" in s for s in said)


def test_a_head_keeps_its_sites_in_its_file(tmp_path):
    x, _, found = fitted(AGE, each=20)
    again = heads.load(found.head.save(tmp_path / "h.json"))
    (one,), (two,) = served([again], "S1"), served([found.head], "S1")
    np.testing.assert_allclose(one(x), two(x), rtol=1e-5)
    folds = (made.trust.folds.heads(x[0]) for made in (one, two))
    np.testing.assert_allclose(*folds, rtol=1e-5)
    path = tmp_path / "h.json"
    content = json.loads(path.read_text())
    content["harmonised"]["folds"][1].pop("S2")
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="is damaged: its sites' maps"):
        heads.load(path)
    pooled = content["evidence"]["leave_one_site_out"]["pooled"]
    content["evidence"]["leave_one_site_out"]["pooled"] = 3
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="must be a figure of each site"):
        heads.load(path)
    content["evidence"]["leave_one_site_out"]["pooled"] = pooled
    content["harmonised"]["whole"]["S2"]["scale"][0] = -1.0
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="the harmonisation of site S2 is no scale and shift"):
        heads.load(path)


def test_mistakes_are_named():
    _, people, found = fitted(AGE, each=20)
    with pytest.raises(InputError, match=r"does not know site elsewhere: .* S0, S1, S2"):
        served([found.head], "elsewhere")
    x, _, _ = planted(sites=3, each=20)
    plain = probe.fit(x, people, folds=3, repeats=1).head
    with pytest.raises(UsageError, match="no head is harmonised"):
        served([plain], "S1")
    assert served([plain], None) == [plain]
