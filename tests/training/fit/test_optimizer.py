from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from training.fit import optimizer
from training.fit.lars import LARS
from training.fit.settings import Settings


def test_lars_follows_its_equations() -> None:
    weight = nn.Parameter(torch.tensor([[3.0, 4.0]], dtype=torch.float64))
    solver = LARS([weight], lr=0.5, momentum=0.9, trust=0.01, weight_decay=0.1)
    gradients = torch.tensor([[[1.0, -2.0]], [[0.5, 0.25]], [[-1.0, 0.0]]], dtype=torch.float64)
    w, v = [3.0, 4.0], [0.0, 0.0]
    for gradient in gradients:
        g = [float(gradient[0, i]) + 0.1 * w[i] for i in range(2)]
        ratio = 0.01 * math.hypot(*w) / math.hypot(*g)
        v = [0.9 * v[i] + ratio * g[i] for i in range(2)]
        w = [w[i] - 0.5 * v[i] for i in range(2)]
        weight.grad = gradient.clone()
        solver.step()
    torch.testing.assert_close(weight.detach(), torch.tensor([w], dtype=torch.float64))


def test_lars_leaves_a_zero_weight_to_plain_descent() -> None:
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([1.0, -1.0])
    LARS([weight], lr=0.5).step()
    torch.testing.assert_close(weight.detach(), torch.tensor([-0.5, 0.5]))


def test_lars_spares_biases_and_norms() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    solver = optimizer.build(network, Settings(optimizer="lars"))
    matrices, vectors = solver.param_groups
    assert [p.ndim for p in matrices["params"]] == [2]
    assert matrices["weight_decay"] == 1e-6
    assert len(vectors["params"]) == 3
    assert vectors["weight_decay"] == 0.0
    assert not vectors["adapt"]


def test_the_papers_rates() -> None:
    assert optimizer.rate(Settings(), 123, 1000) == 3e-4
    lars = Settings(optimizer="lars", batch=32, devices=4)
    assert optimizer.rate(lars, 0, 1000) == pytest.approx(0.3 * 128 / 256)
    assert optimizer.rate(lars, 500, 1000) == pytest.approx(0.15 * 128 / 256)
    assert optimizer.rate(lars, 1000, 1000) == pytest.approx(0.0)


def test_adam_takes_its_rate_and_decay() -> None:
    solver = optimizer.build(nn.Linear(1, 1), Settings(learning_rate=0.25, weight_decay=0.5))
    assert isinstance(solver, torch.optim.Adam)
    assert (solver.param_groups[0]["lr"], solver.param_groups[0]["weight_decay"]) == (0.25, 0.5)
