"""A bundle of several classes, in an order or not: from a probe to what engines say of a scan."""

from __future__ import annotations

import csv
import io
import json
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from export import models
from export import pack as packing
from export.graph import BundleGraph
from export.models import Wanted
from export.onnx import export
from export.pack import assemble
from export.parts.manifest import BundleNotes
from export.reference import feed
from export.verify import engines, parity
from fmtool import task
from fmtool.bundle.manifest import TaskEntry
from fmtool.errors import InputError
from fmtool.task import Task
from runtime import attribution, trust
from runtime.answer import answer
from runtime.report import rows, words
from runtime.report.page import answers, scale, why
from runtime.trust import ordinal
from training import probe
from training.cohort import Cohort, Row
from training.evidence import head

FEATURES = 32
NAMES = ("CN", "MCI", "AD")


STAGES = ("none", "mild", "severe")
STAGE = Task("stage", "ordinal", "probability", "stage", classes=STAGES)


def people(count=72, seed=0, of=task.DIAGNOSIS):
    """Three groups that two of the features tell apart, as a cohort."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 3
    x = rng.normal(size=(count, FEATURES))
    x[:, 1] += 2.0 * y
    x[:, 2] += 2.0 * (y == 1)
    made = [Row(f"s{i}", Path(f"{i}.nii"), None, float(c), None, i + 2) for i, c in enumerate(y)]
    return x, Cohort(Path("t.csv"), of, made)


@pytest.fixture(scope="module")
def ordered():
    return probe.fit(*people(of=STAGE), folds=3, repeats=1).head


@pytest.fixture(scope="module")
def fitted():
    x, cohort = people()
    volumes = list(1200.0 - 20.0 * cohort.labels + np.random.default_rng(9).normal(size=72))
    return probe.fit(x, cohort, folds=3, repeats=1, brain_volume_ml=volumes).head


@pytest.fixture(scope="module")
def several(graph, heads, fitted, ordered):
    return BundleGraph(graph.encoder, [heads[0], fitted, ordered])


@pytest.fixture(scope="module")
def model(several, volumes, tmp_path_factory):
    path = tmp_path_factory.mktemp("several") / "model.onnx"
    return export(several, path, shape=volumes[0][0].shape)


def test_a_head_is_kept_and_read_again(fitted, tmp_path):
    read = head.load(fitted.save(tmp_path / "h.json"))
    assert read.task == task.DIAGNOSIS
    assert (read.weight == fitted.weight).all()
    assert (read.bias == fitted.bias).all()
    content = json.loads((tmp_path / "h.json").read_text())
    content["bias"] = content["bias"][:2]
    (tmp_path / "h.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="of other classes than its task"):
        head.load(tmp_path / "h.json")


def test_the_graph_gives_a_logit_and_a_map_a_class_that_add_up(several, volumes):
    inputs = [torch.from_numpy(array) for array in feed(volumes[:2]).values()]
    with torch.inference_mode():
        found = dict(zip(several.output_names, several(*inputs), strict=True))
    assert found["diagnosis"].shape == (2, 3)
    assert found["age"].shape == (2, 1)
    assert found["diagnosis_map"].shape[:2] == (2, 3)
    assert found["stage"].shape == (2, 1)
    assert found["stage_map"].shape[:2] == (2, 1)
    for name in ("diagnosis", "stage"):
        means = found[f"{name}_map"].mean(dim=(2, 3, 4))
        assert torch.allclose(means, found[name], atol=1e-4)


@pytest.mark.slow
def test_every_engine_of_the_cpu_agrees_and_its_maps_add_up_to_each_logit(several, model, volumes):
    report = parity(model, several, volumes[:2], 1e-5, batches=(1, 2))
    for name in ("diagnosis", "stage"):
        assert report.of(name).share <= 1
        assert report.of(f"{name}_map").share <= 1
    for _, engine in engines(model, "float32"):
        if engine.precision != "float32":
            continue
        got = engine.run(feed(volumes[:1]))
        for name in ("diagnosis", "stage"):
            sums = got[f"{name}_map"].mean(axis=(2, 3, 4), dtype=np.float64)
            assert np.abs(sums - got[name]).max() < 1e-4


def test_a_head_of_other_classes_is_refused(graph, fitted, ordered):
    for wrong in (None, (0.0,), (1.0, -1.0)):
        with pytest.raises(InputError, match="has other thresholds than its task's"):
            BundleGraph(graph.encoder, [replace(ordered, thresholds=wrong)])
    two = head.Head(task.DIAGNOSIS, fitted.weight[:2], fitted.bias[:2], {}, "")
    with pytest.raises(InputError, match="of other classes than its task"):
        BundleGraph(graph.encoder, [two])


@pytest.fixture(scope="module")
def bundle(several, heads, fitted, ordered, model, volumes, tmp_path_factory):
    parts = {
        "strip_locate.onnx": b"\n\x06locate",
        "strip_segment.onnx": b"\n\x07segment",
        "template.nii.gz": b"",
    }
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(packing, "template_volume", lambda template: volumes[0])
        patched.setattr(models, "export", lambda graph, path, **_: shutil.copyfile(model, path))
        return assemble(
            tmp_path_factory.mktemp("bundle") / "a.fmtool",
            several.encoder,
            [heads[0], fitted, ordered],
            parts,
            BundleNotes("several"),
            Wanted(volumes=volumes[1:]),
        )


@pytest.mark.slow
def test_a_bundle_holds_the_kind_and_its_card_tells_of_every_class(bundle):
    assert bundle.tasks["diagnosis"] == task.DIAGNOSIS
    assert len(bundle.manifest.self_test.outputs["diagnosis"]) == 3
    text = bundle.read("MODEL_CARD.md").decode()
    assert "a logit for each of CN, MCI, AD" in text
    assert "Balanced accuracy" in text
    assert "within CN and within MCI and within AD" in text
    known = trust.read(bundle)["diagnosis"]
    assert known.probabilities is not None
    assert known.folds.weight.shape == (3, 3, FEATURES)


@pytest.mark.slow
def test_a_bundle_holds_thresholds_and_refuses_those_of_other_classes(bundle, ordered):
    assert tuple(bundle.thresholds("stage")) == ordered.thresholds
    assert bundle.thresholds("diagnosis") is None
    assert len(bundle.manifest.self_test.outputs["stage"]) == 1
    text = bundle.read("MODEL_CARD.md").decode()
    assert "a score, which thresholds part into none, mild, severe" in text
    assert "quadratic weighted kappa" in text
    assert "thresholds on the score" in text
    known = trust.read(bundle)["stage"]
    assert known.folds.weight.shape == (3, FEATURES)
    assert known.folds.bias.shape == (3, 2)
    plain = bundle.manifest.tasks["stage"].to_dict()
    assert TaskEntry.from_dict(plain, "it").to_dict() == plain
    for wrong in (None, [], [0.0], [0.0, 0.0], [1.0, -1.0], [0.0, 1e301], "ab", [True, 2]):
        with pytest.raises(ValueError, match="it, thresholds must be numbers that rise"):
            TaskEntry.from_dict(plain | {"thresholds": wrong}, "it")
    binary = TaskEntry(task.SEX, {}).to_dict() | {"thresholds": [0.0]}
    with pytest.raises(ValueError, match="and of no other"):
        TaskEntry.from_dict(binary, "it")


@pytest.mark.slow
def test_an_answer_names_a_class_its_probabilities_and_a_set(bundle, fitted):
    x, cohort = people(seed=1)
    known = trust.read(bundle)["diagnosis"]
    right = 0
    for e, y in zip(x, cohort.labels, strict=True):
        said = answer(task.DIAGNOSIS, fitted(e), fitted.evidence, e, known)
        assert sum(said.probabilities.values()) == pytest.approx(1.0)
        assert (
            said.probability == said.probabilities[said.label] == max(said.probabilities.values())
        )
        assert said.members
        assert set(said.members) <= set(NAMES)
        right += said.label == NAMES[int(y)]
    assert right > 50
    assert said.shares == dict.fromkeys(NAMES, pytest.approx(1 / 3))
    plain = answer(task.DIAGNOSIS, [0.0, 2.0, 1.0], {})
    assert plain.label == "MCI"
    assert plain.value == pytest.approx(np.exp(2) / (1 + np.e + np.exp(2)))
    assert plain.probability is None
    assert "No calibrated probability" in " ".join(plain.warnings)


def test_a_set_without_the_likeliest_class_is_said(fitted):
    said = answer(task.DIAGNOSIS, [9.0, 0.0, 0.0], {}, np.full(FEATURES, 2.0), fitted.trust)
    assert said.label == "CN"
    assert "CN" not in said.members
    assert "The likeliest class, CN, is not in the prediction set" in " ".join(said.warnings)


@pytest.mark.slow
def test_each_class_has_its_map(bundle, model, volumes):
    with closing(engines(model, "float32")) as opened:
        outputs = next(opened)[1].run(feed(volumes[:1]))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(attribution, "placed", lambda *_: np.eye(4))
        found = attribution.read(bundle, outputs, {}, ["age", "diagnosis", "stage"])
    for name in ("age", "stage"):
        assert [m.label for m in found[name]] == [None]
        assert found[name][0].error < 1e-4
    assert [m.label for m in found["diagnosis"]] == list(NAMES)
    for c, m in enumerate(found["diagnosis"]):
        assert m.output == outputs["diagnosis"][0, c]
        assert m.error < 1e-4


@pytest.fixture(scope="module")
def values(fitted, ordered):
    e = people(seed=2)[0][1]
    return {
        head.task.name: answer(
            head.task, head(e), head.evidence, e, head.trust, thresholds=head.thresholds
        ).to_dict()
        for head in (fitted, ordered)
    }


def test_tables_and_words(values):
    value, stage = values["diagnosis"], values["stage"]
    result = {
        "scan": "a.nii",
        "values": values,
        "warnings": [],
        "facts": {"brain_volume_ml": 1200.0},
        "timings": {"total": 1.0},
        "bundle": {"name": "b", "digest": "0"},
        "engine": "e",
        "version": "1",
        "finished": "2026-01-01T00:00:00+00:00",
        "quality": [],
        "novelty_p": None,
    }
    (row,) = csv.DictReader(io.StringIO(rows.csv_rows([result])))
    chances = [float(row[f"diagnosis_probability_{name}"]) for name in NAMES]
    assert sum(chances) == pytest.approx(1.0, abs=1e-4)
    assert row["diagnosis_class"] == value["class"] == NAMES[int(np.argmax(chances))]
    assert row["diagnosis_set"].split("|") == value["prediction_set"]
    assert float(row["diagnosis_prevalence_MCI"]) == pytest.approx(1 / 3, abs=1e-4)
    assert words.answer(value) == (value["class"], f"probability {max(chances):.2f}")
    assert words.interval(value).startswith("90 %: ")
    assert words.margin(value).startswith("macro AUC 0.")
    assert "33 % CN, 33 % MCI, 33 % AD" in words.prevalence(value)
    card = answers.card("diagnosis", value)
    assert all(f">{name} 0." in card for name in NAMES)
    assert scale.picture(value).count('class="bar"') == 3
    assert why.unit_of(value) == f"logit of {value['class']}"
    chances = [float(row[f"stage_probability_{name}"]) for name in STAGES]
    assert sum(chances) == pytest.approx(1.0, abs=1e-4)
    assert float(row["stage_score"]) == pytest.approx(stage["score"], abs=1e-4)
    assert row["stage_class"] == stage["class"] == STAGES[ordinal.median_of(chances)]
    assert words.answer(stage)[1] == f"probability {chances[STAGES.index(stage['class'])]:.2f}"
    assert words.margin(stage).startswith("C-index 0.")
    assert scale.picture(stage).count('class="bar"') == 3
    assert why.unit_of(stage) == "log-odds of one class more"
