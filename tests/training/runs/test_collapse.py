from __future__ import annotations

import math

import pytest
import torch

from training.runs.collapse import CollapseWatch, alignment, uniformity


def test_alignment_and_uniformity_against_a_double_loop() -> None:
    torch.manual_seed(0)
    z1, z2 = torch.randn(2, 5, 6)
    a, b = ([v / v.norm() for v in z.double()] for z in (z1, z2))
    apart = [float((x - y).square().sum()) for x, y in zip(a, b, strict=True)]
    assert float(alignment(z1, z2)) == pytest.approx(sum(apart) / 5, abs=1e-6)
    logs = []
    for z in (a, b):
        potentials = [
            math.exp(-2 * float((z[i] - z[j]).square().sum())) for i in range(5) for j in range(i)
        ]
        logs.append(math.log(sum(potentials) / len(potentials)))
    assert float(uniformity(z1, z2)) == pytest.approx(sum(logs) / 2, abs=1e-6)


def test_one_point_is_aligned_and_not_uniform() -> None:
    z = torch.ones(4, 3)
    assert float(alignment(z, z)) == pytest.approx(0.0, abs=1e-6)
    assert float(uniformity(z, z)) == pytest.approx(0.0, abs=1e-5)


def test_a_collapse_is_said_once_after_three_epochs() -> None:
    watch = CollapseWatch(12)
    said = [watch.check(loss=1.0, uniform=-0.001) for _ in range(5)]
    assert [bool(s) for s in said] == [False, False, True, False, False]
    assert "the representations collapse" in str(said[2])


def test_a_loss_at_chance_is_said() -> None:
    watch = CollapseWatch(12)
    said = [watch.check(loss=math.log(11), uniform=-1.0) for _ in range(3)]
    assert "nothing is learnt" in str(said[2])


def test_a_good_run_is_left_in_peace() -> None:
    watch = CollapseWatch(12)
    assert not any(watch.check(loss=1.0, uniform=-1.0) for _ in range(9))
    watch = CollapseWatch(12)
    pattern = [-0.001, -0.001, -1.0] * 3
    assert not any(watch.check(loss=1.0, uniform=value) for value in pattern)
