from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fmtool.errors import InputError, UsageError
from fmtool.task import AGE, DIAGNOSIS, SEX, Task
from training import encoders
from training.augment.whole import batch as whole_batch
from training.augment.whole import whole
from training.evidence import conformal
from training.fit.recipe import ScanBatch
from training.fit.settings import Settings
from training.supervised import Finetune, Supervised

WIDTH = 1 / 32
STAGE = Task("stage", "ordinal", "probability", "stage", classes=("none", "mild", "severe"))


def a_batch(labels: list[float], size: int = 16) -> ScanBatch:
    torch.manual_seed(0)
    volumes = torch.randn(len(labels), size, size, size)
    masks = torch.ones_like(volumes, dtype=torch.bool)
    return ScanBatch(volumes, masks, torch.tensor(labels), list(range(len(labels))), 0, 0)


def output(recipe: Supervised, batch: ScanBatch) -> torch.Tensor:
    return recipe.network(whole_batch(batch.volumes, batch.masks))


def test_regression_loss_is_the_squared_error_of_scaled_labels() -> None:
    labels = [20.0, 40.0, 60.0]
    recipe = Supervised(encoders.fresh(width=WIDTH), AGE, labels)
    batch = a_batch(labels)
    out = output(recipe, batch).detach().double().numpy()
    target = (np.array(labels) - np.mean(labels)) / np.std(labels)
    loss = recipe.loss(recipe.network, batch, lambda tensor: tensor)
    assert float(loss.value.detach()) == pytest.approx(np.square(out - target).mean(), abs=1e-5)


@pytest.mark.parametrize("balance", [False, True])
def test_binary_loss_is_the_weighted_log_loss(balance: bool) -> None:
    labels = [1.0, 0.0, 0.0, 0.0]
    recipe = Supervised(encoders.fresh(width=WIDTH), SEX, labels, balance=balance)
    batch = a_batch(labels)
    p = 1 / (1 + np.exp(-output(recipe, batch).detach().double().numpy()))
    weights = np.array([2.0, 2 / 3, 2 / 3, 2 / 3]) if balance else np.ones(4)
    expected = -np.mean(weights * np.log(np.where(np.array(labels) > 0, p, 1 - p)))
    loss = recipe.loss(recipe.network, batch, lambda tensor: tensor)
    assert float(loss.value.detach()) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("balance", [False, True])
def test_the_loss_of_several_classes_is_the_weighted_cross_entropy(balance: bool) -> None:
    labels = [0.0, 0.0, 1.0, 2.0]
    recipe = Supervised(encoders.fresh(width=WIDTH), DIAGNOSIS, labels, balance=balance)
    batch = a_batch(labels)
    z = output(recipe, batch).detach().double().numpy()
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    weights = np.array([2 / 3, 2 / 3, 4 / 3, 4 / 3]) if balance else np.ones(4)
    expected = -np.mean(weights * log_p[np.arange(4), np.array(labels, dtype=int)])
    loss = recipe.loss(recipe.network, batch, lambda tensor: tensor)
    assert float(loss.value.detach()) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("balance", [False, True])
def test_the_loss_of_classes_in_an_order_is_their_surprise(balance: bool) -> None:
    labels = [0.0, 0.0, 1.0, 2.0]
    recipe = Supervised(encoders.fresh(width=WIDTH), STAGE, labels, balance=balance)
    batch = a_batch(labels)
    z = output(recipe, batch).detach().double().numpy()
    assert z.shape == (4, 2)
    assert (z[:, 0] > z[:, 1]).all()
    beyond = 1 / (1 + np.exp(-z))
    p = -np.diff(np.c_[np.ones(4), beyond, np.zeros(4)], axis=1)
    weights = np.array([2 / 3, 2 / 3, 4 / 3, 4 / 3]) if balance else np.ones(4)
    expected = -np.mean(weights * np.log(p[np.arange(4), np.array(labels, dtype=int)]))
    loss = recipe.loss(recipe.network, batch, lambda tensor: tensor)
    assert float(loss.value.detach()) == pytest.approx(expected, abs=1e-5)
    loss.value.backward()
    gaps = recipe.network.get_submodule("head").get_parameter("gaps")
    assert gaps.grad is not None
    assert float(gaps.grad.abs().max()) > 0.0


def test_a_class_without_a_training_scan_is_named() -> None:
    with pytest.raises(InputError, match="no training scan of diagnosis is of class MCI"):
        Supervised(encoders.fresh(width=WIDTH), DIAGNOSIS, [0.0, 2.0, 2.0])


@pytest.mark.parametrize(
    ("task", "labels"),
    [
        (AGE, [20.0, 70.0, 40.0]),
        (SEX, [0.0, 1.0, 1.0]),
        *((t, [0.0, 1.0, 2.0]) for t in (DIAGNOSIS, STAGE)),
    ],
)
def test_the_head_reproduces_the_predictions(task: Any, labels: list[float]) -> None:
    recipe = Supervised(encoders.fresh(width=WIDTH), task, labels)
    batch = a_batch(labels)
    scans = [
        SimpleNamespace(volume=v.numpy(), mask=m.numpy(), facts={})
        for v, m in zip(batch.volumes, batch.masks, strict=True)
    ]
    predicted = recipe.predict(scans)
    assert recipe.network.training
    weight, bias = recipe.affine()
    recipe.network.eval()
    with torch.no_grad():
        embeddings = recipe.network.encoder(whole_batch(batch.volumes, batch.masks)).double()
    if task is DIAGNOSIS:  # a common shift changes no probability
        predicted = predicted - predicted.mean(axis=1, keepdims=True)
    found = conformal.said(embeddings.numpy(), weight, bias)
    np.testing.assert_allclose(found, predicted, rtol=1e-4, atol=1e-4)
    if task is AGE:  # an untrained head starts near the mean of the training labels
        assert abs(predicted.mean() - np.mean(labels)) < np.std(labels)


def test_fine_tuning_starts_from_the_encoder_and_moves_it() -> None:
    encoder = encoders.fresh(width=WIDTH, seed=3)
    before = encoders.digest(encoder)
    recipe = Finetune(encoder, AGE, [1.0, 2.0])
    assert recipe.describe()["encoder"] == before
    loss = recipe.loss(recipe.network, a_batch([1.0, 2.0]), lambda tensor: tensor)
    loss.value.backward()
    assert all(p.grad is not None and p.grad.any() for p in encoder.parameters() if p.ndim > 1)


def test_one_label_teaches_nothing() -> None:
    with pytest.raises(InputError, match="all training labels of age are the same"):
        Supervised(encoders.fresh(width=WIDTH), AGE, [30.0, 30.0])


def test_scans_are_resized_and_z_scored_inside_the_mask() -> None:
    torch.manual_seed(1)
    volume = 100 + torch.randn(12, 12, 12)
    mask = torch.zeros(12, 12, 12, dtype=torch.bool)
    mask[3:9, 3:9, 3:9] = True
    full = whole(volume, mask)
    assert not full[~mask].any()
    assert float(full[mask].mean()) == pytest.approx(0.0, abs=1e-4)
    assert float(full[mask].std(unbiased=False)) == pytest.approx(1.0, abs=1e-4)
    small = whole(volume, mask, (6, 6, 6))
    assert small.shape == (6, 6, 6)
    inside = torch.zeros(6, 6, 6, dtype=torch.bool)
    inside[1:5, 1:5, 1:5] = True  # every cell that holds some of the mask, or its nearest voxel
    assert not small[~inside].any()
    assert torch.equal(whole(volume, mask, (12, 12, 12)), full)


def test_what_has_no_meaning_or_no_statistics_is_refused():
    encoder = encoders.fresh(width=WIDTH)
    with pytest.raises(UsageError, match="age is a regression and has no classes to balance"):
        Supervised(encoder, AGE, [20.0, 30.0], balance=True)
    with pytest.raises(UsageError, match="a voxel or more along each axis"):
        Supervised(encoder, AGE, [20.0, 30.0], input_shape=(16, 0, 16))
    cpu = torch.device("cpu")
    for kind in ("resnet18", "resnet50"):
        small = Supervised(encoders.fresh(kind, WIDTH), AGE, [20.0, 30.0], input_shape=(16, 16, 16))
        with pytest.raises(UsageError, match="leaves BatchNorm a single value"):
            small.check(Settings(batch=1), cpu)
        small.check(Settings(batch=2), cpu)
    larger = Supervised(encoder, AGE, [20.0, 30.0], input_shape=(16, 16, 32))
    larger.check(Settings(batch=1), cpu)
    one = torch.randn(1, 16, 16, 32)
    batch = ScanBatch(one, torch.ones_like(one) > 0, torch.tensor([30.0]), [0], 0, 0)
    assert torch.isfinite(larger.loss(larger.network, batch, lambda t: t).value)
    full = Supervised(encoder, AGE, [20.0, 30.0])
    full.check(Settings(batch=1), cpu)
    vit = encoders.fresh("vit_tiny", 1 / 8, (16, 16, 16))
    Supervised(vit, AGE, [20.0, 30.0], input_shape=(16, 16, 16)).check(Settings(batch=1), cpu)
