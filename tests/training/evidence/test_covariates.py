"""A head that knows age only adds nothing to age; and the gap of two groups of different ages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fmtool.errors import InputError
from fmtool.task import Task
from training import probe
from training.cohort import Cohort, Row
from training.evidence import gap, out_of_fold
from training.evidence.covariates import Covariates, having

COUNT = 60
PATIENT = Task("patient", "binary", "probability", "patient", classes=("no", "yes"))


def cohort(folder, ages, patients, task=PATIENT):
    lines = ["image_path,age,sex,patient"]
    for i, (age, patient) in enumerate(zip(ages, patients, strict=True)):
        lines.append(f"{i}.nii,{age:.2f},{'FM'[i // 2 % 2]},{('no', 'yes')[patient]}")
    path = folder / "cohort.csv"
    path.write_text("\n".join(lines) + "\n")
    labels = patients if task is PATIENT else ages
    rows = [
        Row(f"s{i}", Path(f"{i}.nii"), None, float(y), None, i + 2) for i, y in enumerate(labels)
    ]
    return Cohort(path, task, rows)


def fitted(read, x, names=("age", "sex")):
    found = probe.fit(x, read, folds=3, repeats=1)
    probe.beside(found, read, Covariates(read, names))
    return found


def test_a_head_that_only_reads_age_adds_nothing_to_age(tmp_path):
    rng = np.random.default_rng(0)
    patients = np.arange(COUNT) % 2
    ages = 50 + 15 * patients + rng.normal(0, 6, COUNT)
    x = rng.normal(size=(COUNT, 3))
    x[:, 0] = (ages - 57) / 10 + rng.normal(0, 0.3, COUNT)
    told = fitted(cohort(tmp_path, ages, patients), x).head.evidence["covariates"]
    assert told["head"] > 0.8  # which would be taken for a finding
    assert told["alone"] > told["head"] - 0.03
    assert told["adds"] is False
    assert told["said"].startswith("In one cross-validation, age and sex alone: AUC ")
    assert told["better_alone"] is False
    assert "would not say without a scan" in told["said"]


def test_a_head_that_sees_the_disease_adds_to_age_and_the_table_has_both(tmp_path):
    rng = np.random.default_rng(1)
    patients = np.arange(COUNT) % 2
    ages = rng.uniform(40, 70, COUNT)
    x = rng.normal(size=(COUNT, 3))
    x[:, 1] += 2.5 * patients
    found = fitted(cohort(tmp_path, ages, patients), x)
    told = found.head.evidence["covariates"]
    assert told["adds"] is True
    assert told["gain_interval"][0] > 0.1
    columns = {name: out_of_fold._other(name, PATIENT) for name in found.rows[3]}
    assert columns["covariate_sex"].description == "The covariate sex, as the table has it."
    assert columns["covariate_sex"].units == ""
    said = columns["predicted_with_covariates"].description
    assert said.startswith("What the head's value and the covariates together predict")
    row = found.rows[3]
    assert (row["covariate_sex"], row["covariate_age"]) == ("M", f"{ages[3]:.2f}")
    assert 0 < row["predicted_with_covariates"] < 1


def test_a_gridded_heads_covariates_are_judged_beside_heads_of_its_own_kind(tmp_path):
    """A cell that hardly any head fills counts little, in the head as in what is fitted beside it:
    otherwise its noise would decide how far the head is trusted beside the covariates."""
    rng = np.random.default_rng(3)
    cells, ages = 40, rng.uniform(20, 80, 30)
    x = rng.normal(size=(30, cells))
    x[:, 0] = (ages - 50) / 10
    x[:, 1:] *= 1e-3  # seldom filled
    task = Task("age", "regression", "years", "patient")
    read = cohort(tmp_path, ages, np.arange(30) % 2, task)
    found = probe.fit(x, read, folds=3, repeats=1, cells=cells)
    probe.beside(found, read, Covariates(read, ["sex"]))
    told = found.head.evidence["covariates"]
    assert told["head"] < 3.0
    assert told["together"] < told["head"] + 1.0
    assert told["better_alone"] is True
    assert told["adds"] is True


def test_covariates_are_columns_that_are_there_and_no_names(tmp_path):
    read = cohort(tmp_path, np.linspace(20, 60, 20), np.arange(20) % 2)
    with pytest.raises(
        InputError, match="no column 'iq' to be a covariate; it has image_path, age"
    ):
        Covariates(read, ["iq"])
    with pytest.raises(InputError, match="patient is what is to be predicted"):
        Covariates(read, ["patient"])
    with pytest.raises(InputError, match="image_path has 20 different words"):
        Covariates(read, ["image_path"])


def test_who_lacks_a_covariate_is_left_out_and_said(tmp_path):
    read = cohort(tmp_path, np.linspace(20, 60, 20), np.arange(20) % 2)
    text = read.path.read_text().replace("0.nii,20.00,F", "0.nii,20.00,n/a")
    read.path.write_text(text)
    said = []
    assert len(having(read, ["age", "sex"], said.append).rows) == 19
    assert said == ["1 rows without age or sex are left out."]
    assert having(read, [], said.append) is read


def test_tables_that_spell_people_otherwise_are_said_to(tmp_path):
    table, people = tmp_path / "oof.csv", tmp_path / "people.csv"
    table.write_text("participant_id,predicted\nIXI013,50\n")
    people.write_text("participant_id,age,group\nIXI013-HH-1212,51,a\n")
    with pytest.raises(InputError, match="no participant_id in common, such as 'ixi013' and"):
        gap.compare(table, people, "group")


@pytest.fixture
def answers(tmp_path):
    """Gaps of -0.5 a year of age beyond 50, and +4 years in the group, which is 15 years older."""
    rng = np.random.default_rng(2)
    lines, people = ["participant_id,session_id,predicted"], ["participant_id\tage\tgroup\tsex"]
    for i in range(80):
        older = i % 2
        age = 50 + 15 * older + rng.normal(0, 7)
        predicted = age - 0.5 * (age - 50) + 4 * older + rng.normal(0, 1)
        lines += [f"sub-{i:02},ses-{s},{predicted + d}" for s, d in ((1, -0.3), (2, 0.3))]
        people.append(f"sub-{i:02}\t{age}\t{('CN', 'MCI')[older]}\t{'FM'[i % 3 % 2]}")
    (tmp_path / "age.out-of-fold.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "participants.tsv").write_text("\n".join(people) + "\n")
    return tmp_path / "age.out-of-fold.csv", tmp_path / "participants.tsv"


def test_the_gap_of_two_groups_is_told_with_age_held_equal(answers):
    found = gap.compare(*answers, "group", ["sex"])
    assert found.groups == ("CN", "MCI")
    assert found.counts == (40, 40)
    assert abs(found.means[1] - found.means[0]) > 2.5  # unadjusted: the wrong sign
    assert found.means[1] < found.means[0]
    assert found.interval[0] < 4.0 < found.interval[1]
    assert found.difference == pytest.approx(4.0, abs=0.8)
    assert found.adjusted_for == ["age", "sex"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("participant_id,predicted,logit,set\nsub-01,0.7,1.0,M\n", "neither the out-of-fold table"),
        ("participant_id,predicted\nsub-01,old\n", "predicted is 'old', which is not a number"),
        (b"\xda\x00\xff", "not a table of UTF-8 text"),
        ("", "is empty"),
    ],
)
def test_answers_that_are_no_ages_are_refused(answers, tmp_path, text, said):
    table = tmp_path / "odd.csv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=said):
        gap.compare(table, answers[1], "group")


def test_its_interval_holds_the_truth_as_often_as_it_says(tmp_path):
    rng, hits = np.random.default_rng(3), 0
    table, people = tmp_path / "t.csv", tmp_path / "p.tsv"
    for _ in range(120):
        ages = rng.uniform(50, 80, 40)
        group = np.arange(40) < 12  # uneven, with uneven spread
        values = ages + 2.0 * group + rng.normal(0, np.where(group, 6.0, 2.0))
        pairs = zip(values, ages, group, strict=True)
        rows = [f"{i},{v},{a},{'ba'[not g]}" for i, (v, a, g) in enumerate(pairs)]
        table.write_text(
            "participant_id,predicted\n" + "\n".join(r.rsplit(",", 2)[0] for r in rows)
        )
        people.write_text(
            "participant_id\tage\tg\n"
            + "\n".join("\t".join(r.split(",")[i] for i in (0, 2, 3)) for r in rows)
        )
        low, high = gap.compare(table, people, "g").interval
        hits += low <= 2.0 <= high
    assert 0.88 < hits / 120 <= 1.0


def test_answers_that_the_head_learnt_from_do_not_count(answers, tmp_path):
    table, people = answers
    lines = table.read_text().splitlines()
    head = "participant_id,session_id,age_predicted,age_learnt_from"
    marked = [f"{line},{i < 10}" for i, line in enumerate(lines[1:])]
    results = tmp_path / "results.csv"
    results.write_text("\n".join([head, *marked]) + "\n")
    found = gap.compare(results, people, "group")
    assert (found.in_sample, found.left_out) == (10, 5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("site",), "no column 'site'"),
        (("age",), "two are compared"),
        (("participant_id",), "two are compared"),
    ],
)
def test_groups_that_cannot_be_compared_are_named(answers, words, said):
    with pytest.raises(InputError, match=said):
        gap.compare(*answers, *words)
