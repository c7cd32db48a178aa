"""NT-Xent against a double loop, and a small pretraining run."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from fmtool.errors import InputError, UsageError
from training import simclr
from training.augment import SimCLRAugment

TINY = {
    "width": 0.03125,
    "batch": 2,
    "augment": SimCLRAugment(output_shape=(16, 16, 16), min_crop=(12, 12, 12)),
}


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny volumes: threads of a busy machine would spend the time waiting for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def naive_nt_xent(z1, z2, temperature):
    views = [v / v.norm() for v in torch.cat((z1, z2)).double()]
    count = len(z1)
    total = 0.0
    for i, anchor in enumerate(views):
        partner = (i + count) % (2 * count)
        weights = [math.exp(float(anchor @ v) / temperature) for v in views]
        total -= math.log(weights[partner] / (sum(weights) - weights[i]))
    return total / (2 * count)


@pytest.mark.parametrize("temperature", [0.5, 0.1])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_nt_xent_against_a_double_loop(count, temperature):
    torch.manual_seed(count)
    z1, z2 = torch.randn(2, count, 8)
    loss = simclr.nt_xent(z1, z2, temperature)
    assert float(loss) == pytest.approx(naive_nt_xent(z1, z2, temperature), abs=1e-5)


def test_nt_xent_ignores_length_and_falls_with_agreement():
    torch.manual_seed(0)
    z1, z2 = torch.randn(2, 6, 8)
    torch.testing.assert_close(simclr.nt_xent(z1, z2), simclr.nt_xent(7 * z1, 0.1 * z2))
    assert simclr.nt_xent(z1, z1) < simclr.nt_xent(z1, z2)


def test_projector_has_upstreams_layout():
    state = simclr.projector(512).state_dict()
    assert {k: tuple(v.shape) for k, v in state.items()} == {
        "0.weight": (512, 512),
        "2.weight": (64, 512),
    }


@pytest.fixture(scope="module")
def scans():
    """Waves of four lengths with a little noise: scans that can be told apart."""
    rng = np.random.default_rng(0)
    z, y, _ = np.meshgrid(*(np.linspace(-1, 1, 16),) * 3, indexing="ij")
    waves = [np.sin(k * (z + y)) + 0.1 * rng.random(z.shape) for k in (1, 3, 6, 12)]
    return [wave.astype(np.float32) for wave in waves], [np.ones(z.shape, dtype=bool)] * 4


def test_pretraining_learns_to_tell_scans_apart(scans):
    losses = []
    wider = {**TINY, "width": 0.0625, "batch": 4}
    encoder = simclr.pretrain(*scans, epochs=30, on_epoch=lambda _, x: losses.append(x), **wider)
    assert len(losses) == 30
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.2
    assert not encoder.training
    assert encoder(torch.zeros(1, 1, 16, 16, 16)).shape == (1, 32)


def test_equal_seeds_give_equal_encoders_and_leave_the_global_generator_alone(scans):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    runs = [simclr.pretrain(*scans, epochs=2, seed=seed, **TINY) for seed in (1, 1, 2)]
    assert torch.equal(torch.rand(1), expected)
    weights = [run.get_parameter("conv1.weight") for run in runs]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_bfloat16_follows_float32_and_keeps_float32_weights(scans):
    settings = {**TINY, "augment": SimCLRAugment((48, 48, 48), (12, 12, 12)), "epochs": 3}
    losses = {False: [], True: []}
    for bf16, found in losses.items():
        encoder = simclr.pretrain(
            *scans, bf16=bf16, on_epoch=lambda _, loss, found=found: found.append(loss), **settings
        )
    assert losses[True] == pytest.approx(losses[False], abs=0.1)
    assert losses[True] != losses[False]
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in encoder.parameters())


def test_bfloat16_of_tiny_views_is_refused(scans):
    with pytest.raises(UsageError, match="48 voxels"):
        simclr.pretrain(*scans, bf16=True, **TINY)


def test_divergence_is_an_error(scans, monkeypatch):
    monkeypatch.setattr(simclr, "LEARNING_RATE", float("inf"))
    with pytest.raises(InputError, match="diverged"):
        simclr.pretrain(*scans, epochs=2, **TINY)


def test_a_batch_needs_other_scans_to_compare_with(scans):
    volumes, masks = scans
    with pytest.raises(InputError, match="two scans"):
        simclr.pretrain(volumes[:1], masks[:1], epochs=1, **TINY)
