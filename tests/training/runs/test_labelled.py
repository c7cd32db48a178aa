from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fmtool.bundle.exposure import Exposure
from fmtool.errors import InputError
from fmtool.task import AGE, DIAGNOSIS, SEX, Task
from training import encoders
from training.cohort.exposure import exposure
from training.cohort.prepared import PreparedCohort
from training.cohort.row import Row
from training.fit import devices
from training.fit.settings import Settings
from training.runs import labelled
from training.runs.best import Best
from training.supervised import Supervised

STAGE = Task("stage", "ordinal", "probability", "stage", classes=("none", "mild", "severe"))
SETTINGS = Settings(epochs=6, batch=4, device="cpu", learning_rate=3e-3, checkpoint_every=1)


pytestmark = pytest.mark.usefixtures("one_thread")


def part(task: Task, count: int, seed: int) -> PreparedCohort:
    """Scans whose texture follows their label."""
    rng = np.random.default_rng(seed)
    mask = np.ones((16, 16, 16), dtype=np.bool_)
    z = np.linspace(0, 1, 16)[:, None, None]
    entries, rows = [], []
    for i in range(count):
        kinds = len(task.classes or ())
        label = float(i % kinds) if kinds else 20.0 + 50.0 * i / count
        waves = 2.0 + 6.0 * (label / (kinds - 1) if kinds else (label - 20.0) / 50.0)
        volume = (np.sin(waves * np.pi * z) + 0.2 * rng.normal(size=mask.shape)).astype(np.float32)
        entries.append(SimpleNamespace(volume=volume, mask=mask, facts={"digest": f"{seed} {i}"}))
        rows.append(Row(f"s{seed}-{i}", Path(f"{seed}-{i}"), None, label, None, i))
    return PreparedCohort(Path("t.csv"), task, rows, entries=entries)


def recipe_of(task: Task, training: PreparedCohort) -> Supervised:
    return Supervised(encoders.fresh(width=1 / 16), task, training.labels.tolist())


@pytest.mark.parametrize("task", [AGE, SEX])
def test_it_learns_and_reports_on_scans_it_has_not_seen(task: Task, tmp_path: Path) -> None:
    parts = [part(task, count, seed) for seed, count in enumerate((16, 8, 12))]
    recipe = recipe_of(task, parts[0])
    # After six epochs it depends on the rounding of the processor whether it has learnt.
    settings = replace(SETTINGS, epochs=20, learning_rate=1e-3)
    found = labelled.train(
        devices.launch(settings), recipe, *parts, settings, tmp_path, seen=Exposure()
    )
    evidence = found.head.evidence
    assert evidence["how"] == "held-out test"
    assert evidence["n"] == 12
    assert found.head.sample["n"] == 16
    assert evidence["beats_baseline"]
    if task is AGE:
        error = np.abs(found.predictions - parts[2].labels).mean()
        assert evidence["value"] == pytest.approx(error)
        fixed = np.median(parts[0].labels)
        assert evidence["baseline"] == pytest.approx(np.abs(parts[2].labels - fixed).mean())
    encoder = recipe.network.get_submodule("encoder")
    assert found.head.encoder_sha256 == encoders.digest(encoder)
    assert evidence["exposure"] == {"images": 0, "labels": 0, "of": 12, "complete": True}
    assert evidence["brain_volume"]["value"] > 0.0
    assert evidence["smoothed_scan"]["head_is_better"] in (True, False)
    assert len(found.head.exposure.labelled_subjects) == 16 + 8


def test_the_best_epoch_is_kept_and_found_again(tmp_path: Path) -> None:
    parts = [part(AGE, count, seed) for seed, count in enumerate((8, 4, 4))]
    recipe = recipe_of(AGE, parts[0])
    best = Best(recipe, parts[1], tmp_path)
    record: dict[str, Any] = {}
    errors = iter([3.0, 1.0, 1.0, 2.0])
    states = []
    for epoch in range(4):
        with torch.no_grad():
            recipe.network.get_parameter("head.bias").fill_(float(epoch))
        offset = next(errors)
        recipe.predict = lambda scans, o=offset: parts[1].labels + o  # type: ignore[method-assign]
        figures = best(epoch, {}, record)
        assert figures == {"validation_mse": pytest.approx(offset**2), "validation_mae": offset}
        states.append(recipe.network.get_parameter("head.bias").clone())
    assert record["best"] == {"epoch": 1, "score": pytest.approx(-1.0)}
    assert best.restore(record) == 1
    assert torch.equal(recipe.network.get_parameter("head.bias"), states[1])


def test_a_resumed_run_ends_with_the_same_head(tmp_path: Path) -> None:
    parts = [part(AGE, count, seed) for seed, count in enumerate((8, 4, 12))]
    fabric = devices.launch(SETTINGS)
    whole = labelled.train(fabric, recipe_of(AGE, parts[0]), *parts, SETTINGS, tmp_path / "whole")
    recipe = recipe_of(AGE, parts[0])
    inner, calls = recipe.loss, [0]

    def dying(*args: Any) -> Any:
        calls[0] += 1
        if calls[0] == 9:
            raise RuntimeError("power cut")
        return inner(*args)

    recipe.loss = dying  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="power cut"):
        labelled.train(fabric, recipe, *parts, SETTINGS, tmp_path / "run")
    again = labelled.train(
        fabric, recipe_of(AGE, parts[0]), *parts, SETTINGS, tmp_path / "run", resume=True
    )
    assert again.best_epoch == whole.best_epoch
    np.testing.assert_array_equal(again.head.weight, whole.head.weight)
    np.testing.assert_array_equal(again.predictions, whole.predictions)


def test_validation_needs_scans_and_both_classes(tmp_path: Path) -> None:
    training = part(SEX, 8, 0)
    recipe = recipe_of(SEX, training)
    with pytest.raises(InputError, match="there are no validation scans"):
        Best(recipe, training.take([]), tmp_path)
    with pytest.raises(InputError, match="no validation scan of sex is of class M"):
        Best(recipe, training.take([0]), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("task", [DIAGNOSIS, STAGE], ids=lambda task: task.name)
def test_several_classes_are_learnt_and_reported(tmp_path: Path, task: Task) -> None:
    parts = [part(task, count, seed) for seed, count in enumerate((18, 9, 18))]
    recipe = recipe_of(task, parts[0])
    settings = replace(SETTINGS, epochs=20, learning_rate=1e-3)
    fabric = devices.launch(settings)
    found = labelled.train(fabric, recipe, *parts, settings, tmp_path, seen=Exposure())
    told, head = found.head.evidence, found.head
    metric = "C-index" if task is STAGE else "macro AUC"
    assert (told["metric"], told["how"]) == (metric, "held-out test")
    assert told["value"] > 0.6
    assert 0.0 <= told["brain_volume"]["value"] <= 1.0
    assert found.predictions.shape == (18, task.logits)
    if task is STAGE:
        assert head.weight.ndim == 1
        assert head.thresholds == pytest.approx((-head.thresholds[1], head.thresholds[1]))
    else:
        assert (head.weight.shape[0], head.bias.shape) == (3, (3,))
        assert np.abs(head.weight.sum(axis=0)).max() < 1e-5
    assert {row["predicted"] for row in found.rows} <= set(task.classes)
    assert head.trust.fits(task)
    assert head.trust.probabilities is not None


def test_a_test_part_that_has_trained_the_encoder_is_refused_before_training(
    tmp_path: Path,
) -> None:
    parts = [part(AGE, count, seed) for seed, count in enumerate((8, 4, 12))]
    whole = exposure(parts[2].take(range(3)), parts[2].entries[:3], labels=True)
    recipe = recipe_of(AGE, parts[0])
    given = (devices.launch(SETTINGS), recipe, *parts, SETTINGS, tmp_path / "run")
    with pytest.raises(InputError, match="labels of 3 of the 12 subjects of the test part"):
        labelled.train(*given, seen=whole)
    few = (*given[:4], parts[2].take(range(11)), *given[5:])
    with pytest.raises(InputError, match="11 subjects are too few for the test part"):
        labelled.train(*few)
    assert not (tmp_path / "run").exists()
