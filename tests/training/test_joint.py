"""Several tasks on one encoder: the loss is each one's own, and what has no label says nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fmtool.bundle.exposure import Exposure
from fmtool.errors import InputError, UsageError
from fmtool.task import AGE, DIAGNOSIS, SEX, Task
from training import encoders
from training.augment.whole import batch as whole_batch
from training.cohort.prepared import PreparedCohort
from training.cohort.row import Row
from training.fit import devices
from training.fit.recipe import ScanBatch
from training.fit.settings import Settings
from training.joint import Joint
from training.runs import from_labels, labelled
from training.runs.best import Best
from training.runs.run import LabelledTask, RunFiles
from training.supervised import Finetune, Supervised

NONE = float("nan")
TASKS = (AGE, SEX, DIAGNOSIS)
STAGE = Task("stage", "ordinal", "probability", "stage", classes=("none", "mild", "severe"))

pytestmark = pytest.mark.usefixtures("one_thread")


def recipe(width=1 / 32, kind=Supervised, tasks=TASKS):
    encoder = encoders.fresh(width=width)
    labels = ([20.0, 40.0, 60.0], [0.0, 1.0, 1.0], [0.0, 1.0, 2.0])
    return Joint([kind(encoder, task, some) for task, some in zip(tasks, labels, strict=True)])


def a_batch(labels):
    torch.manual_seed(0)
    volumes = torch.randn(len(labels), 16, 16, 16)
    masks = torch.ones_like(volumes, dtype=torch.bool)
    return ScanBatch(volumes, masks, torch.tensor(labels), list(range(len(labels))), 0, 0)


@pytest.mark.parametrize("third", [DIAGNOSIS, STAGE], ids=lambda task: task.name)
def test_the_loss_is_the_mean_of_the_tasks_own_over_the_labels_that_are_there(third):
    joint = recipe(tasks=(AGE, SEX, third))
    joint.network.eval()
    batch = a_batch([[30.0, 1.0, NONE], [NONE, 0.0, NONE], [50.0, NONE, 2.0]])
    found = joint.loss(joint.network, batch, lambda tensor: tensor)
    volumes = whole_batch(batch.volumes, batch.masks)
    total = 0.0
    for column, part in enumerate(joint.parts):
        part.network.eval()
        rows = [i for i in range(3) if not batch.labels[i, column].isnan()]
        own = part.of_output(part.network(volumes)[rows], batch.labels[rows, column])
        assert float(found.facts[f"loss_{part.task.name}"]) == pytest.approx(own.item(), abs=1e-5)
        total += own.item()
    assert found.value.item() == pytest.approx(total / 3, abs=1e-5)


def test_a_batch_without_any_label_of_a_task_moves_no_head_of_it():
    joint = recipe()
    batch = a_batch([[30.0, NONE, NONE], [50.0, NONE, NONE]])
    found = joint.loss(joint.network, batch, lambda tensor: tensor)
    assert set(found.facts) == {"loss_age"}
    found.value.backward()
    age, sex, diagnosis = (part.network.head.weight.grad for part in joint.parts)
    assert age.any()
    assert not sex.any()  # but there, as several processes need it
    assert not diagnosis.any()


def cohort(task, count, seed, keep=lambda i: True):
    """Scans whose texture follows their label; `keep` says who has one."""
    rng = np.random.default_rng(seed)
    mask = np.ones((16, 16, 16), dtype=np.bool_)
    z = np.linspace(0, 1, 16)[:, None, None]
    entries, rows = [], []
    for i in range(count):
        share = i / (count - 1)
        volume = (np.sin((2 + 6 * share) * np.pi * z) + 0.2 * rng.normal(size=mask.shape)).astype(
            np.float32
        )
        label = 20.0 + 50.0 * share if task is AGE else float(share > 0.5)
        if keep(i):
            facts = {"digest": f"{seed} {i}"}
            entries.append(SimpleNamespace(volume=volume, mask=mask, facts=facts))
            rows.append(Row(f"s{seed}-{i}", Path(f"{seed}-{i}"), None, label, None, i))
    return PreparedCohort(Path("t.csv"), task, rows, entries=entries)


def parts_of(task, keep=lambda i: True):
    sizes = enumerate((16, 8, 14))
    return labelled.LabelledParts(*(cohort(task, count, seed, keep) for seed, count in sizes))


def test_every_scan_is_seen_once_with_the_labels_that_it_has():
    age, sex = parts_of(AGE, lambda i: i % 2 == 0).training, parts_of(SEX).training
    scans = labelled._labelled_by_all([age, sex])
    assert len(scans) == 16
    found = dict(zip(scans.digests, scans.labels, strict=True))
    assert np.isnan(found["0 1"][0])
    assert found["0 1"][1] == 0.0
    assert found["0 14"][1] == 1.0
    assert found["0 14"][0] == pytest.approx(20.0 + 50.0 * 14 / 15)


def test_the_best_epoch_is_that_of_the_largest_mean_skill(tmp_path):
    encoder = encoders.fresh(width=1 / 32)
    age, sex = parts_of(AGE), parts_of(SEX)
    joint = Joint(
        [Supervised(encoder, p.training.task, p.training.labels.tolist()) for p in (age, sex)]
    )
    best, record = Best(joint, [age.validation, sex.validation], tmp_path), {}
    one, two = joint.parts
    for epoch, (off, right) in enumerate([(10.0, -1.0), (0.0, 1.0), (0.0, -1.0)]):
        one.predict = lambda scans, o=off: age.validation.labels + o
        two.predict = lambda scans, r=right: r * sex.validation.labels
        figures = best(epoch, {}, record)
    assert record["best"] == {"epoch": 1, "score": pytest.approx(1.0)}
    assert figures["validation_auc_sex"] == 0.0
    assert figures["validation_mae_age"] == 0.0
    assert figures["validation_skill"] == pytest.approx(0.0)


@pytest.mark.slow
def test_tasks_with_missing_labels_are_learnt_together(tmp_path):
    settings = Settings(epochs=20, batch=4, device="cpu", learning_rate=1e-3, checkpoint_every=5)
    age, sex = parts_of(AGE, lambda i: i % 5 != 1), parts_of(SEX, lambda i: i % 7 != 3)
    age = replace(age, test=cohort(AGE, 14, 2))
    sex = replace(sex, test=cohort(SEX, 14, 2))
    encoder = encoders.fresh(width=1 / 16)
    parts = [Finetune(encoder, p.training.task, p.training.labels.tolist()) for p in (age, sex)]
    joint, fabric = Joint(parts), devices.launch(settings)
    given = (fabric, joint, [age, sex], settings, tmp_path)
    first, second = labelled.train_jointly(*given, seen=Exposure())
    assert (first.head.evidence["metric"], second.head.evidence["metric"]) == ("MAE", "AUC")
    assert second.head.evidence["value"] > 0.8
    assert first.head.evidence["value"] < first.head.evidence["baseline"]
    assert first.head.encoder_sha256 == second.head.encoder_sha256 == encoders.digest(encoder)
    assert len(first.head.exposure.labelled_subjects) == 16 + 8
    x = encoder(whole_batch(*a_test_batch(age.test))).detach().double().numpy()
    for found in (first, second):
        said = x @ found.head.weight + found.head.bias
        np.testing.assert_allclose(said, found.predictions, rtol=1e-4, atol=1e-3)
    leaky = replace(sex, training=age.test.relabelled([float(i % 2) for i in range(14)]))
    with pytest.raises(InputError, match="labels of 14 of the 14 subjects of the test part"):
        labelled.train_jointly(fabric, joint, [age, leaky], settings, tmp_path / "leaky")
    assert not (tmp_path / "leaky").exists()


def a_test_batch(test):
    volumes = torch.from_numpy(np.stack([entry.volume for entry in test.entries]))
    return volumes, torch.ones_like(volumes, dtype=torch.bool)


def test_what_several_tasks_lack_is_said(tmp_path):
    (tmp_path / "c.csv").write_text("image_path,age,sex\n")
    files, settings = RunFiles(tmp_path / "run"), Settings(epochs=1)
    for asked, words in (
        (LabelledTask(["age", "age"]), "the task age is named twice"),
        (
            LabelledTask(["age", "sex"], validation=Path("v.csv"), test=Path("t.csv")),
            "several tasks need one split of one table",
        ),
    ):
        with pytest.raises(UsageError, match=words):
            from_labels.run(tmp_path / "c.csv", asked, Supervised, lambda: None, files, settings)
    assert not (tmp_path / "run").exists()
