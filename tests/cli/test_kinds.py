"""A task of each kind through every verb that answers: no kind is left out, and each says its own.

Training by kind: `tests/training/runs/test_labelled.py`; the graph: `tests/export`.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from benchmarks.robustness.measure import outputs_of
from export import child
from export.child import ChildHead, Descent
from fmtool import bundle
from fmtool.cli.calibrate import calibrate
from fmtool.cli.predict import _share
from fmtool.cli.results import _repeats
from fmtool.errors import InputError, UsageError
from runtime import trust
from runtime.engines.heads import affine
from training import probe
from training.cohort import Cohort, Row
from training.evidence import evaluate

pyarrow = pytest.importorskip("pyarrow", reason="the parquet extra is absent")

KINDS = {
    "gap": 'name = "gap"\nkind = "regression"\nunit = "years"\nlabel = "gap"\n',
    "old": 'name = "old"\nkind = "binary"\nlabel = "old"\nclasses = ["no", "yes"]\n',
    "third": 'name = "third"\nkind = "multiclass"\nlabel = "third"\n'
    'classes = ["young", "middle", "old"]\n',
    "stage": 'name = "stage"\nkind = "ordinal"\nlabel = "stage"\n'
    'classes = ["none", "mild", "severe"]\n',
}
NAMES = ("young", "middle", "old")
STAGES = ("none", "mild", "severe")


def made(at, count, seed, tasks):
    """Embeddings near the demonstration's, and labels of each task that two features tell."""
    random = np.random.default_rng(seed)
    x = at + random.normal(0.0, 1.0, (count, len(at)))
    along = x[:, 0] - at[0] + 0.3 * random.normal(size=count)
    of = {"gap": 5.0 * along, "old": (along > 0.0) * 1.0}
    of["third"] = of["stage"] = np.digitize(along, [-0.6, 0.6]) * 1.0
    rows = {
        name: [
            Row(f"s{seed}-{i}", Path(f"{seed}-{i}.nii"), None, float(y), None, i + 2)
            for i, y in enumerate(labels)
        ]
        for name, labels in of.items()
    }
    return x, {name: Cohort(Path("t.csv"), tasks[name], some) for name, some in rows.items()}


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    """A bundle with a head of each kind, and the folder with their task files."""
    from fmtool import task as files

    folder = tmp_path_factory.mktemp("kinds")
    for name, text in KINDS.items():
        (folder / f"{name}.toml").write_text(text)
    tasks = {name: files.get(str(folder / f"{name}.toml")) for name in KINDS}
    with pytest.MonkeyPatch.context() as patched, bundle.open() as demo:
        patched.setattr(evaluate, "SAMPLES", 20)
        at = np.array(demo.manifest.self_test.outputs["embedding"])
        x, cohorts = made(at, 60, 0, tasks)
        heads = []
        for cohort in cohorts.values():
            fitted = probe.fit(x, cohort, folds=3, repeats=1).head
            names = ("weight", "bias", "trust", "thresholds")
            given = {name: getattr(fitted, name) for name in names}
            heads.append(ChildHead(task=cohort.task, evidence=fitted.evidence, **given))
        made_of = Descent(made="heads of each kind were fitted.", heads=heads, keeps=False)
        child.write(folder / "every.fmtool", demo, made_of)
    return folder


@pytest.fixture(scope="module")
def site(every):
    """A batch's results of new people whom `every` answered, with a table of their labels."""
    from pyarrow import parquet

    with bundle.open(every / "every.fmtool") as opened:
        at = np.array(opened.manifest.self_test.outputs["embedding"])
        x, cohorts = made(at, 90, 1, opened.tasks)
        digest = opened.digest
    count = len(x)
    columns = {
        "scan": [f"/data/sub-{i:02}_T1w.nii.gz" for i in range(count)],
        "content": [f"{i:064x}" for i in range(count)],
        "embedding": x.tolist(),
        "brain_volume_ml": np.linspace(1300.0, 1500.0, count).tolist(),
        "bundle_digest": [digest] * count,
        "engine": ["openvino, cpu, float32"] * count,
    }
    parquet.write_table(pyarrow.table(columns), every / "results.parquet")
    labels = {name: cohort.labels for name, cohort in cohorts.items()}
    lines = [
        f"sub-{i:02},{labels['gap'][i]:.2f},{labels['old'][i]:.0f},"
        f"{STAGES[int(labels['stage'][i])]},{NAMES[int(labels['third'][i])]}"
        for i in range(count)
    ]
    text = "\n".join(["participant_id,gap,old,stage,third", *lines]) + "\n"
    (every / "labels.csv").write_text(text)
    few = [line for line in lines if not line.endswith("middle")] + [
        line for line in lines if line.endswith("middle")
    ][:5]
    (every / "few.csv").write_text("\n".join(["participant_id,gap,old,stage,third", *few]) + "\n")
    return every


@pytest.mark.slow
def test_heads_of_each_kind_are_found_and_measured(every):
    with bundle.open(every / "every.fmtool") as opened:
        found = affine(opened, list(KINDS))
        expected = opened.manifest.self_test.outputs
        at = np.array(expected["embedding"])
        for task, (weight, bias) in found.items():
            got = np.atleast_1d(weight @ at + bias)
            assert got == pytest.approx(np.array(expected[task]), abs=1e-3)
        assert [output.task for output in outputs_of(opened)] == list(KINDS)
        assert {name: one.shares for name, one in trust.read(opened).items()}["third"] != []


@pytest.mark.slow
@pytest.mark.parametrize("task", list(KINDS))
def test_each_kind_is_calibrated_at_a_site(site, tmp_path, capsys, monkeypatch, task):
    monkeypatch.setattr(evaluate, "SAMPLES", 20)
    out, page = tmp_path / "site.fmtool", tmp_path / "site.html"
    given = (site / "results.parquet", task, out, site / "every.fmtool", site / "labels.csv")
    calibrate(*given, page=page)
    said = capsys.readouterr().out
    assert "each made without its subject" in said
    assert page.read_text().count("<svg") == 3
    with bundle.open(out) as made_here:
        known, here = trust.read(made_here)[task], made_here.evidence(task)["site"]
        assert list(made_here.tasks) == list(KINDS)
        assert known.folds.subjects == pytest.approx(90.0) or known.by_class
        if task in ("third", "stage"):
            assert here["prior"] == pytest.approx(known.shares, abs=0.15)
            assert set(here["after"]["coverage"]) == {"0", "1", "2"}
            assert "has a share of" in said or "in agreement" in said
            text = made_here.read("MODEL_CARD.md").decode()
            assert f"Sets held the class of {made_here.tasks[task].classes[0]}" in text
            with bundle.open(site / "every.fmtool") as parent:
                assert made_here.thresholds(task) == parent.thresholds(task)


@pytest.mark.slow
def test_too_few_of_one_class_calibrate_nothing(site, tmp_path):
    given = (site / "results.parquet", "third", tmp_path / "x.fmtool", site / "every.fmtool")
    with pytest.raises(InputError, match=r"5 subjects of class middle are too few to calibrate"):
        calibrate(*given, site / "few.csv")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_each_kind_is_predicted_told_and_kept(every, fmtool, prepared_head, tmp_path):
    given = ("predict", prepared_head, "--bundle", every / "every.fmtool")
    shares = ("--prevalence", "third=young:0.2,middle:0.2,old:0.6", "--prevalence", "old=0.1")
    shares += ("--prevalence", "stage=none:0.8,mild:0.1,severe:0.1")
    pages, fhir = tmp_path / "pages", tmp_path / "fhir"
    done = fmtool(*given, "--json", "--report", pages, "--fhir", fhir, *shares)
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)
    values = told["values"]
    kinds = ["regression", "binary", "multiclass", "ordinal"]
    assert [one["kind"] for one in values.values()] == kinds
    assert values["gap"]["interval"]
    assert values["old"]["prevalence"] == pytest.approx(0.1)
    assert values["third"]["shares"] == pytest.approx({"young": 0.2, "middle": 0.2, "old": 0.6})
    assert sum(values["third"]["probabilities"].values()) == pytest.approx(1.0)
    stage = values["stage"]
    chances = [stage["probabilities"][name] for name in STAGES]
    assert sum(chances) == pytest.approx(1.0)
    assert stage["class"] == STAGES[int(np.searchsorted(np.cumsum(chances), 0.5))]
    assert stage["shares"]["none"] == pytest.approx(0.8)
    (page,) = [p.read_text() for p in pages.glob("*.html") if p.name != "index.html"]
    assert all(name.capitalize() in page for name in KINDS)
    assert all(name in page for name in (*NAMES, *STAGES))
    (record,) = [p.read_text() for p in fhir.iterdir()]
    assert "Share of old among scans that the probabilities assume" in record
    done = fmtool(*given)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in KINDS)
    out = tmp_path / "out"
    done = fmtool(*given, "--out", out, *shares)
    assert done.returncode == 0, done.stderr
    (row,) = csv.DictReader(io.StringIO((out / "results.csv").read_text()))
    assert row["third_class"] == values["third"]["class"]
    assert float(row["third_prevalence_old"]) == pytest.approx(0.6)
    assert row["stage_class"] == stage["class"]
    assert float(row["stage_score"]) == pytest.approx(stage["score"], abs=1e-3)
    assert row["stage_set"].split("|") == stage["prediction_set"]
    assert (out / "results.parquet").exists()
    done = fmtool("results", out, "--long", "--json")
    long = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["task"] for one in long] == list(KINDS)


@pytest.mark.slow
def test_each_kind_is_served(every, serving, settled, prepared_head):
    with serving("--bundle", every / "every.fmtool") as (_, client):
        files = {"file": ("head.nii.gz", (prepared_head / "normalized.nii.gz").read_bytes())}
        path = client.post("/v1/scans", files=files).headers["location"]
        job = settled(client, path)
        assert job["state"] == "done", job
        values = job["result"]["values"]
        kinds = ["regression", "binary", "multiclass", "ordinal"]
        assert [one["kind"] for one in values.values()] == kinds
        for task, classes in (("third", NAMES), ("stage", STAGES)):
            assert list(values[task]["probabilities"]) == list(classes)
            assert sum(values[task]["probabilities"].values()) == pytest.approx(1.0)
            assert values[task]["class"] in values[task]["prediction_set"]
        page = client.get(path + "/report").text
        assert all(name in page for name in (*NAMES, *STAGES))


@pytest.mark.slow
def test_each_kind_is_a_bids_derivative(every, fmtool, prepared_head, tmp_path):
    image = nib.load(prepared_head / "normalized.nii.gz")
    place = tmp_path / "raw/sub-01/anat"
    place.mkdir(parents=True)
    nib.save(image, place / "sub-01_T1w.nii.gz")
    about = {"Name": "raw", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (tmp_path / "raw/dataset_description.json").write_text(json.dumps(about))
    raw, out = tmp_path / "raw", tmp_path / "out"
    given = ("--skip-bids-validation", "--bundle", every / "every.fmtool")
    done = fmtool("bids", raw, out, "participant", *given)
    assert done.returncode == 0, done.stderr
    done = fmtool("bids", raw, out, "group")
    assert done.returncode == 0, done.stderr
    text = (out / "group_predictions.tsv").read_text()
    (row,) = csv.DictReader(io.StringIO(text), delimiter="\t")
    assert row["third_class"] in NAMES
    assert row["stage_class"] in STAGES
    assert row["old_class"] in ("no", "yes")
    assert float(row["gap_predicted"]) < 1e3


def test_a_prevalence_is_a_share_or_one_of_each_class():
    assert _share("sex=0.5") == ("sex", 0.5)
    assert _share("d=CN:0.7, MCI:0.2,AD, early:0.1") == (
        "d",
        {"CN": 0.7, "MCI": 0.2, "AD, early": 0.1},
    )
    for wrong in ("sex", "sex=", "sex=half", "d=CN:x,AD:0.5", "d=CN:0.5,CN:0.5"):
        with pytest.raises(UsageError, match="it needs a task and a share"):
            _share(wrong)


def answered(kind, value, classes=None, chances=None):
    return {
        "value": value,
        "unit": "years" if kind == "regression" else "probability",
        "kind": kind,
        "class": max(chances, key=chances.get) if chances else None,
        "classes": classes,
        "probabilities": chances,
    }


def test_repeats_of_several_classes_are_compared_class_by_class():
    first, second = {"a": 0.5, "b": 0.3, "c": 0.2}, {"a": 0.3, "b": 0.5, "c": 0.2}
    told = [
        {"values": {"third": answered("multiclass", 0.5, ["a", "b", "c"], chances)}}
        for chances in (first, second)
    ]
    rows = [
        {
            "participant_id": "sub-1",
            "third_predicted": 0.5,
            **{f"third_probability_{c}": p for c, p in chances.items()},
        }
        for chances in (first, second)
    ]
    found = {row["task"]: row["spread"] for row in _repeats(rows, told)}
    assert list(found) == [f"third_probability_{c}" for c in "abc"]
    assert found["third_probability_a"] == pytest.approx(0.2 / 2**0.5)
    assert found["third_probability_c"] == 0.0
