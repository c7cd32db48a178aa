"""NT-Xent against a double loop, and a small pretraining run."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fmtool.errors import UsageError
from training import simclr
from training.augment import SimCLRAugment
from training.fit import devices
from training.fit.data import ScanDataset
from training.fit.loop import Loop
from training.fit.recipe import ScanBatch
from training.fit.settings import Settings
from training.simclr import SimCLR

SMALL = SimCLRAugment(output_shape=(16, 16, 16), min_crop=(12, 12, 12))


pytestmark = pytest.mark.usefixtures("one_thread")


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
    assert float(loss) == pytest.approx(naive_nt_xent(z1, z2, temperature), abs=1e-6)


def test_nt_xent_of_perfect_views_has_a_closed_form():
    """Orthogonal scans whose two views agree: the partner at cosine 1, all others at 0."""
    z = torch.eye(4)
    expected = math.log((math.exp(1 / 0.5) + 2 * 3) / math.exp(1 / 0.5))
    assert float(simclr.nt_xent(z, z)) == pytest.approx(expected, abs=1e-6)
    collapsed = torch.ones(4, 4)
    assert float(simclr.nt_xent(collapsed, collapsed)) == pytest.approx(math.log(7), abs=1e-6)


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


def entries(scans):
    pairs = zip(*scans, strict=True)
    return [SimpleNamespace(volume=v, mask=m, facts={"digest": ""}) for v, m in pairs]


def pretrain(scans, folder, epochs, recipe=None, **changes):
    """The recipe after training, with its loop."""
    recipe = recipe or SimCLR(width=0.03125, augment=SMALL)
    settings = Settings(**{"epochs": epochs, "batch": 2, "device": "cpu", **changes})
    loop = Loop(devices.launch(settings), recipe, ScanDataset(entries(scans)), settings, folder)
    losses = []
    loop.run(lambda epoch, means, record: losses.append(means) or {})
    return recipe, losses


def test_pretraining_learns_to_tell_scans_apart(scans, tmp_path):
    recipe = SimCLR(width=0.0625, augment=SMALL)
    _, means = pretrain(scans, tmp_path, 30, recipe, batch=4)
    losses = [mean["loss"] for mean in means]
    assert len(losses) == 30
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.2
    assert means[-1]["uniformity"] < means[0]["uniformity"]
    assert recipe.network.encoder.eval()(torch.zeros(1, 1, 16, 16, 16)).shape == (1, 32)


def test_the_network_is_projector_of_encoder(scans):
    recipe = SimCLR(width=0.03125, augment=SMALL)
    network = recipe.network.eval()
    views = torch.randn(2, 1, 16, 16, 16)
    embeddings, projections = network(views)
    torch.testing.assert_close(embeddings, network.encoder(views))
    torch.testing.assert_close(projections, network.projector(network.encoder(views)))


def test_views_follow_from_seed_epoch_and_scan_alone(scans):
    recipe = SimCLR(width=0.03125, augment=SMALL)
    seen = []

    def network(views):
        seen.append(views)
        return recipe.network(views)

    volumes, masks = (torch.from_numpy(np.stack(x)) for x in scans)
    whole = ScanBatch(volumes, masks, torch.zeros(4), [0, 1, 2, 3], epoch=3, seed=9)
    share = ScanBatch(volumes[2:], masks[2:], torch.zeros(2), [2, 3], epoch=3, seed=9)
    for batch in (whole, share):
        recipe.loss(network, batch, lambda tensor: tensor)
    torch.testing.assert_close(seen[1][:2], seen[0][2:4])
    torch.testing.assert_close(seen[1][2:], seen[0][6:])
    assert not torch.equal(seen[0][:4], seen[0][4:])


def test_equal_seeds_give_equal_first_weights_and_leave_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (
        SimCLR(width=0.03125, seed=seed).network.encoder.get_parameter("conv1.weight")
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_bfloat16_follows_float32_and_keeps_float32_weights(scans, tmp_path):
    losses = {}
    for precision in ("float32", "bfloat16"):
        recipe = SimCLR(width=0.03125, augment=SimCLRAugment((48, 48, 48), (12, 12, 12)))
        _, means = pretrain(scans, tmp_path / precision, 3, recipe, precision=precision)
        losses[precision] = [mean["loss"] for mean in means]
        weights = recipe.network.parameters()
        assert all(p.dtype == torch.float32 and p.isfinite().all() for p in weights)
    assert losses["bfloat16"] == pytest.approx(losses["float32"], abs=0.1)
    assert losses["bfloat16"] != losses["float32"]


def test_bfloat16_of_tiny_views_is_refused(scans, tmp_path):
    with pytest.raises(UsageError, match="48 voxels"):
        pretrain(scans, tmp_path, 1, precision="bfloat16")


def test_a_batch_needs_other_scans_to_compare_with(scans, tmp_path):
    with pytest.raises(UsageError, match="two scans"):
        pretrain(scans, tmp_path, 1, batch=1)


def test_recomputing_changes_nothing_but_memory(scans):
    """In float64, where the order of sums does not show."""
    volumes, masks = (torch.from_numpy(np.stack(x)) for x in scans)
    batch = ScanBatch(volumes, masks, torch.zeros(4), [0, 1, 2, 3], epoch=0, seed=0)
    gradients = []
    for recompute in (False, True):
        recipe = SimCLR(width=0.03125, augment=SMALL, recompute=recompute)
        network = recipe.network.double()
        loss = recipe.loss(lambda views, net=network: net(views.double()), batch, lambda z: z)
        loss.value.backward()
        gradients.append({name: p.grad for name, p in network.named_parameters()})
    for name, gradient in gradients[0].items():
        # NT-Xent works in float32: its gradient carries that rounding.
        difference = (gradients[1][name] - gradient).norm()
        assert difference <= 1e-5 * gradient.norm() + 1e-9, name


def test_values_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="temperature must be above 0"):
        SimCLR(width=0.03125, temperature=0.0)
    with pytest.raises(UsageError, match=r"a crop has a voxel or more .* not \(0, 1, 2\)"):
        SimCLRAugment(min_crop=(0, 1, 2))
    with pytest.raises(UsageError, match="a view has a voxel or more"):
        SimCLRAugment(output_shape=(16, 16, -1))
