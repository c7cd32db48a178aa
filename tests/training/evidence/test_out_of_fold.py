"""The table of out-of-fold predictions: it gives the head's own figures back, and names nobody
outside."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmtool.errors import CapabilityError
from fmtool.task import AGE, SEX, Task
from runtime.report import columns
from training import probe
from training.cohort import Cohort, Row
from training.evidence import evaluate, out_of_fold, plot

COUNT = 40


def cohort(task, labels, each=1):
    rows = []
    for i, label in enumerate(labels):
        who = f"sub-{i // each:02}"
        image = Path(f"/data/{who}/ses-{i % each}/anat/{who}_ses-{i % each}_run-2_T1w.nii.gz")
        rows.append(Row(who, image, None, float(label), "A", i + 2, f"ses-{i % each}"))
    return Cohort(Path("t.csv"), task, rows)


@pytest.fixture(scope="module")
def age():
    rng = np.random.default_rng(0)
    y = np.repeat(rng.uniform(20, 80, COUNT // 2), 2)
    x = rng.normal(size=(COUNT, 6))
    x[:, 0] += y / 8
    volumes = list(1400 - y + rng.normal(0, 20, COUNT))
    return probe.fit(x, cohort(AGE, y, 2), folds=4, repeats=3, brain_volume_ml=volumes)


@pytest.fixture(scope="module")
def sex():
    rng = np.random.default_rng(1)
    y = np.arange(COUNT) % 2
    x = rng.normal(size=(COUNT, 6))
    x[:, 0] += 2.5 * y
    volumes = list(1300 + 100 * y + rng.normal(0, 60, COUNT))
    return probe.fit(x, cohort(SEX, y), folds=4, repeats=2, brain_volume_ml=volumes)


def test_a_participant_is_named_as_in_the_table_it_came_from():
    named = cohort(AGE, np.linspace(20, 60, 20))
    rows = [replace(row, subject="IXI013", told="IXI013-HH-1212") for row in named.rows[:1]]
    part = Cohort(named.path, AGE, [*rows, *named.rows[1:]])
    found = out_of_fold.rows(
        part, part.labels[None], np.zeros(20, dtype=np.intp), part.labels, others={}
    )
    assert [row["participant_id"] for row in found[:2]] == ["IXI013-HH-1212", "sub-01"]


def test_the_table_gives_the_heads_mae_back(age):
    rows = age.rows
    subjects = [row["participant_id"] for row in rows]
    errors = np.array([row["absolute_error"] for row in rows])
    assert np.average(errors, weights=evaluate.masses(subjects)) == pytest.approx(
        age.head.evidence["value"]
    )
    first = np.array([row["predicted"] for row in rows])
    assert np.array_equal(first, age.predictions[0])
    truth = np.array([row["truth"] for row in rows])
    in_sample = np.abs(age.head([[0] * 6])[0] - truth).mean()  # of another head than the folds'
    assert np.abs(first - truth).mean() < in_sample
    assert {row["fold"] for row in rows} == {1, 2, 3, 4}
    assert all(
        len({r["fold"] for r in rows if r["participant_id"] == who}) == 1 for who in subjects
    )


def test_a_scans_interval_is_made_of_other_subjects_alone(age):
    rows = age.rows
    inside = [row["low"] <= row["truth"] <= row["high"] for row in rows]
    assert 0.8 <= np.mean(inside) <= 1.0
    one = rows[5]
    others = [r for r in rows if r["participant_id"] != one["participant_id"]]
    scores = sorted(abs(r["truth"] - r["predicted"]) for r in others)
    # two scans a subject, half a mass each: the smallest score at or below which 0.9 (n + 1) lie
    wanted = scores[int(np.ceil(0.9 * (len(others) / 2 + 1) * 2 - 1e-9)) - 1]
    assert one["high"] - one["predicted"] == pytest.approx(wanted)


def test_classes_have_a_probability_that_others_calibrated_and_a_set(sex):
    rows = sex.rows
    logit, fold = (np.array([row[n] for row in rows]) for n in ("logit", "fold"))
    truth = np.array([float(row["truth"] == "M") for row in rows])
    assert np.array_equal(logit, sex.predictions[0])
    assert evaluate.auc(truth, logit, fold) > 0.8
    assert sum(row["truth"] in row["set"].split("|") for row in rows) / COUNT >= 0.8
    assert all(0 < row["probability"] < 1 for row in rows)
    assert all(0 < row["predicted_by_brain_volume"] < 1 for row in rows)
    assert {row["predicted_by_baseline"] for row in rows} == {0.5}


def several():
    """Three classes as a probe of them would leave them."""
    task = Task("stage", "multiclass", "probability", "stage", classes=("a", "b", "c"))
    rng = np.random.default_rng(2)
    y = np.arange(COUNT) % 3
    logits = rng.normal(size=(2, COUNT, 3)) + 3.0 * np.eye(3)[y]
    alone = {"brain_volume": rng.normal(size=(COUNT, 3))}
    fold, constant = np.arange(COUNT) % 4, np.zeros(COUNT)
    return task, out_of_fold.rows(cohort(task, y), logits, fold, constant, alone), logits[0]


def test_several_classes_have_the_likeliest_and_a_probability_each(tmp_path):
    task, rows, logits = several()
    assert [row["predicted"] for row in rows] == ["abc"[k] for k in logits.argmax(axis=1)]
    assert all(sum(row[f"probability_{c}"] for c in "abc") == pytest.approx(1) for row in rows)
    assert {row["predicted_by_baseline"] for row in rows} == {"a"}
    out_of_fold.write(tmp_path / "t.csv", rows, task)
    told = json.loads((tmp_path / "t.json").read_text())
    assert told["truth"]["Levels"] == {"a": "a", "b": "b", "c": "c"}
    evidence = {
        "metric": "macro AUC",
        "value": 0.9,
        "interval": [0.8, 0.95],
        "unit": "",
        "confusion": np.eye(3).tolist(),
        "balanced_accuracy": {"value": 1.0, "interval": [0.9, 1.0]},
    }
    _, svg = plot.draw(tmp_path / "stage.json", rows, task, evidence)
    assert "macro AUC 0.90" in "".join(ElementTree.parse(svg).getroot().itertext())


def test_the_file_has_a_dictionary_of_every_column(age, sex, tmp_path):
    for found, task in ((age, AGE), (sex, SEX)):
        path = out_of_fold.beside(tmp_path / f"{task.name}.json")
        out_of_fold.write(path, found.rows, task)
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        told = json.loads(path.with_suffix(".json").read_text())
        assert list(rows[0]) == list(told)
        assert len(rows) == COUNT
        assert all(column["Description"] for column in told.values())
        assert rows[3]["participant_id"] == found.rows[3]["participant_id"]
        assert rows[3]["run"] == "2"
    assert told["truth"]["Levels"] == {"F": "F", "M": "M"}
    assert path.name == "sex.out-of-fold.csv"


def test_no_spreadsheet_runs_a_scan_s_name(age, tmp_path):
    rows = [{**age.rows[0], "scan": "=cmd.nii.gz"}]
    out_of_fold.write(tmp_path / "t.csv", rows, AGE)
    (row,) = csv.DictReader((tmp_path / "t.csv").open(newline=""))
    assert row["scan"] == "'=cmd.nii.gz"


def test_nobody_is_named_in_what_a_head_keeps(age, tmp_path):
    """A bundle is made of the head's file: what is not in it cannot be packed."""
    text = age.head.save(tmp_path / "age.json").read_text()
    assert "sub-" not in text
    kept = json.loads(text)
    assert "rows" not in kept
    assert not {"truth", "predicted"} & set(json.dumps(kept["evidence"]).split('"'))


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("/d/sub-01/ses-a/anat/sub-01_ses-a_run-2_T1w.nii.gz", ("sub-01", "ses-a", "2")),
        ("sub-9_T1w.nii", ("sub-9", "", "")),
        ("d/sub-7/anat/scan.nii.gz", ("sub-7", "", "")),
        ("d/IXI012-HH-1211-T1.nii.gz", ("IXI012-HH-1211-T1", "", "")),
        ("prep/head3/normalized.nii.gz", ("head3", "", "")),
        ("C:\\d\\sub-2\\sub-2_run-1_T1w.nii.gz", ("sub-2", "", "1")),
        ("array", ("array", "", "")),
    ],
)
def test_whom_a_path_names(path, who):
    assert tuple(columns.who(path).values()) == who


@pytest.mark.parametrize(("name", "task"), [("age", AGE), ("sex", SEX)])
def test_the_figure_is_png_and_svg_and_the_same_each_time(request, name, task, tmp_path):
    pytest.importorskip("matplotlib")
    found = request.getfixturevalue(name)
    out = tmp_path / f"{name}.json"
    png, svg = plot.draw(out, found.rows, task, found.head.evidence)
    assert (png.name, svg.name) == (f"{name}.png", f"{name}.svg")
    with Image.open(png) as picture:
        assert picture.size[0] > 1000
        assert len(picture.convert("L").getcolors(1 << 20)) > 10
    text = "".join(ElementTree.parse(svg).getroot().itertext())
    assert found.head.evidence["metric"] in text
    assert ("identity" in text) == (task is AGE)
    before = svg.read_bytes()
    plot.draw(out, found.rows, task, found.head.evidence)
    assert svg.read_bytes() == before


def test_a_figure_without_matplotlib_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(plot, "find_spec", lambda name: None)
    with pytest.raises(CapabilityError, match=r"fmtool\[plot\]"):
        plot.check_matplotlib()


def test_the_roc_is_the_auc_and_ties_move_together():
    truth, score = np.array([0.0, 1, 0, 1, 1, 0]), np.array([1.0, 2, 2, 3, 1, 0])
    false, true = plot.roc(truth, score)
    assert np.trapezoid(true, false) == pytest.approx(evaluate.auc(truth, score))
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert len(false) == 1 + len(set(score))


def test_reliability_of_a_true_probability_lies_on_the_line():
    rng = np.random.default_rng(0)
    chance = rng.uniform(size=4000)
    truth = (rng.uniform(size=4000) < chance).astype(float)
    found = plot.reliability(truth, chance)
    assert len(found) == 10
    assert all(abs(said - share) < 0.06 for said, share, _, _ in found)
    assert all(low <= share <= high for _, share, low, high in found)
