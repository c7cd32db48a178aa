"""The masked autoencoder: what is seen, what is counted, and that it learns."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

from fmtool.errors import InputError, UsageError
from training import encoders, mae
from training.augment import SimCLRAugment
from training.augment.whole import whole
from training.encoders.vit import patchify, sincos
from training.fit import devices
from training.fit.data import ScanDataset
from training.fit.loop import Loop
from training.fit.recipe import ScanBatch
from training.fit.settings import Settings

pytestmark = pytest.mark.usefixtures("one_thread")

PATCH = (4, 4, 4)
SHAPE = (8, 12, 8)  # 2 x 3 x 2 patches


def make_network(seed=0):
    torch.manual_seed(seed)
    return mae.MaskedAutoencoder(encoders.build("vit_tiny", 0.125, patch=PATCH))


def make_batch(count=2, shape=SHAPE, seed=3, epoch=0):
    generator = torch.Generator().manual_seed(0)
    volumes = 500 + 80 * torch.randn(count, *shape, generator=generator)
    masks = torch.zeros(count, *shape, dtype=torch.bool)
    masks[:, :, :8] = True
    labels = torch.full((count,), torch.nan)
    return ScanBatch(volumes, masks, labels, list(range(10, 10 + count)), epoch, seed)


def itself(tensor):
    return tensor


def naive_forward(network, volumes, keep):
    """One scan, one token at a time: encode what is seen, put it and mask tokens in order."""
    encoder, grid = network.encoder, (2, 3, 2)
    places = sincos(grid, encoder.features)
    patches = patchify(volumes, PATCH)
    rows = []
    for scan, chosen in zip(patches, keep.tolist(), strict=True):
        embedded = scan @ encoder.embed.weight.flatten(1).T + encoder.embed.bias
        tokens = torch.stack([embedded[i] + places[i] for i in chosen])[None]
        for block in encoder.blocks:
            tokens = block(tokens)
        entered = network.enter(encoder.norm(tokens))[0]
        wide = sincos(grid, entered.shape[1])
        row = [
            (entered[chosen.index(i)] if i in chosen else network.mask_token) + wide[i]
            for i in range(len(scan))
        ]
        rows.append(network.decoder(torch.stack(row)[None])[0])
    return torch.stack(rows)


def test_the_decoder_restores_the_order():
    network = make_network()
    volumes = torch.randn(2, 1, *SHAPE)
    keep = torch.tensor([[7, 0, 4], [2, 11, 3]])
    found = network(volumes, keep)
    assert found.shape == (2, 12, 64)
    torch.testing.assert_close(found, naive_forward(network, volumes, keep), atol=1e-5, rtol=1e-4)


def test_predictions_do_not_depend_on_what_is_hidden():
    network = make_network()
    keep = torch.tensor([[7, 0, 4]])
    volumes = torch.randn(1, 1, *SHAPE)
    other = volumes + 5 * torch.randn_like(volumes)
    other[:, :, :4, :4, :4] = volumes[:, :, :4, :4, :4]  # patch 0
    other[:, :, :4, 8:, :4] = volumes[:, :, :4, 8:, :4]  # patch 4
    other[:, :, 4:, :4, 4:] = volumes[:, :, 4:, :4, 4:]  # patch 7
    torch.testing.assert_close(network(volumes, keep), network(other, keep))
    assert not torch.allclose(network(volumes, keep), network(other, torch.tensor([[7, 0, 5]])))


def test_the_error_against_a_naive_loop():
    torch.manual_seed(0)
    patches, predictions = torch.randn(2, 6, 10), torch.randn(2, 6, 10)
    patches[0, 2] = 0  # no brain
    patches[1, 5, :9] = 0  # one voxel of brain
    keep = torch.tensor([[1, 5], [0, 4]])
    errors = []
    for b in range(2):
        for p in range(6):
            if p in keep[b] or not patches[b, p].any():
                continue
            x = patches[b, p]
            target = (x - x.mean()) / torch.sqrt(x.var(correction=0) + 1e-6)
            errors.append(((predictions[b, p] - target) ** 2).mean())
    total, count = mae.masked_error(predictions, patches, keep)
    assert count == len(errors) == 7
    torch.testing.assert_close(total, torch.stack(errors).sum())


def test_only_hidden_brain_patches_count():
    torch.manual_seed(0)
    patches, predictions = torch.randn(1, 4, 8), torch.randn(1, 4, 8)
    patches[0, 3] = 0
    keep = torch.tensor([[1]])
    total, _ = mae.masked_error(predictions, patches, keep)
    for p, matters in enumerate((True, False, True, False)):
        moved = predictions.clone()
        moved[0, p] += 1
        assert bool(mae.masked_error(moved, patches, keep)[0] != total) == matters
    other = patches.clone()
    other[0, 1] = torch.randn(8)  # a seen patch as target
    assert mae.masked_error(predictions, other, keep)[0] == total


def test_a_target_has_neither_scale_nor_offset():
    torch.manual_seed(0)
    patches, predictions = torch.randn(1, 4, 64), torch.randn(1, 4, 64)
    keep = torch.tensor([[0]])
    torch.testing.assert_close(
        mae.masked_error(predictions, 3 * patches + 7, keep)[0],
        mae.masked_error(predictions, patches, keep)[0],
    )
    total, count = mae.masked_error(torch.zeros_like(patches), patches, keep)
    torch.testing.assert_close(total / count, torch.tensor(1.0))


@pytest.mark.parametrize(("count", "kept"), [(1440, 360), (8, 2), (3, 1), (2, 1)])
def test_a_quarter_is_seen(count, kept):
    found = mae.seen(count, 0.75, torch.Generator().manual_seed(0))
    assert len(found) == len(set(found.tolist())) == kept
    assert 0 <= min(found) <= max(found) < count


def test_every_patch_is_seen_as_often():
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat([mae.seen(8, 0.75, generator) for _ in range(2000)])
    assert (torch.bincount(drawn, minlength=8) - 500).abs().max() < 80  # 4 standard deviations


def test_the_loss_of_a_batch_is_the_mean_over_its_hidden_brain_patches():
    recipe = mae.MAE(width=0.125, patch=PATCH)
    batch = make_batch()
    loss = recipe.loss(recipe.network, batch, itself)
    views = encoders.masked_zscore(batch.volumes, batch.masks)[:, None]
    keep = torch.stack([mae.seen(12, 0.75, batch.generator(i)) for i in range(2)])
    predictions = naive_forward(recipe.network, views, keep)
    total, count = mae.masked_error(predictions, patchify(views, PATCH), keep)
    torch.testing.assert_close(loss.value, total / count, atol=1e-5, rtol=1e-4)
    assert loss.facts["hidden_patches"] == count / 2
    assert 0 < count < 18  # a third of the patches has no brain


def test_shares_of_several_processes_add_up_to_the_whole_batchs_loss():
    recipe = mae.MAE(width=0.125, patch=PATCH)
    whole = make_batch(4)
    whole.masks[2:, 4:] = False  # so that the halves count differently
    halves = [
        ScanBatch(
            whole.volumes[part], whole.masks[part], whole.labels[part], whole.indices[part], 0, 3
        )
        for part in (slice(0, 2), slice(2, 4))
    ]
    counts = []
    for half in halves:
        recipe.loss(recipe.network, half, lambda t: counts.append(t) or t)
    both = torch.cat(counts)
    assert both[0] != both[1]
    values = [recipe.loss(recipe.network, half, lambda _: both).value for half in halves]
    wanted = recipe.loss(recipe.network, whole, itself).value
    torch.testing.assert_close(sum(values) / 2, wanted)


def test_gradients_reach_everything_that_is_trained():
    recipe = mae.MAE(width=0.125, patch=PATCH)
    recipe.loss(recipe.network, make_batch(), itself).value.backward()
    for name, parameter in recipe.network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0 or name.endswith("qkv.bias"), name


def test_equal_seeds_give_equal_losses_and_global_randomness_is_left_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = mae.MAE(width=0.125, patch=PATCH, seed=1)
    second = mae.MAE(width=0.125, patch=PATCH, seed=1)

    def value(recipe, **changed):
        return recipe.loss(recipe.network, make_batch(**changed), itself).value

    assert value(first) == value(second)
    assert value(first) != value(first, epoch=1)
    assert value(first) != value(first, seed=4)
    assert value(first) != value(mae.MAE(width=0.125, patch=PATCH, seed=2))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_scans_view_does_not_depend_on_its_place_in_the_batch():
    recipe = mae.MAE(width=0.125, patch=PATCH)
    batch = make_batch()
    turned = ScanBatch(
        batch.volumes.flip(0), batch.masks.flip(0), batch.labels, batch.indices[::-1], 0, batch.seed
    )
    torch.testing.assert_close(
        recipe.loss(recipe.network, batch, itself).value,
        recipe.loss(recipe.network, turned, itself).value,
    )


def test_it_learns_one_tiny_volume():
    recipe = mae.MAE(width=0.125, patch=PATCH)
    smooth = torch.linspace(0, 6, 8)[:, None, None].sin() + torch.linspace(0, 4, 12)[:, None].cos()
    volumes = (smooth + torch.linspace(0, 5, 8).sin())[None]
    masks = torch.ones_like(volumes, dtype=torch.bool)
    solver = torch.optim.Adam(recipe.network.parameters(), lr=3e-3)
    losses = []
    for epoch in range(80):
        batch = ScanBatch(volumes, masks, torch.full((1,), torch.nan), [0], epoch, 0)
        loss = recipe.loss(recipe.network, batch, itself).value
        solver.zero_grad()
        loss.backward()
        solver.step()
        losses.append(float(loss.detach()))
    assert 0.8 < losses[0] < 3
    assert sum(losses[-10:]) / 10 < 0.2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_loop_runs_it(tmp_path, precision):
    batch = make_batch(4)
    entries = [
        SimpleNamespace(volume=volume.numpy(), mask=mask.numpy(), facts={"digest": ""})
        for volume, mask in zip(batch.volumes, batch.masks, strict=True)
    ]
    recipe = mae.MAE(width=0.125, patch=PATCH)
    first = recipe.network.encoder.embed.weight.clone()
    settings = Settings(epochs=2, batch=2, device="cpu", precision=precision)
    losses = []
    loop = Loop(devices.launch(settings), recipe, ScanDataset(entries), settings, tmp_path)
    loop.run(lambda epoch, means, record: losses.append(means["loss"]) or {})
    assert len(losses) == 2
    assert all(0.5 < loss < 3 for loss in losses)
    assert recipe.network.encoder.embed.weight.dtype == torch.float32
    assert not torch.equal(recipe.network.encoder.embed.weight, first)


def test_augmented_and_resized_views():
    augmented = mae.MAE(
        width=0.125, patch=PATCH, augment=SimCLRAugment(output_shape=(8, 8, 8), min_crop=(4, 4, 4))
    )
    resized = mae.MAE(width=0.125, patch=PATCH, output_shape=(4, 8, 8))
    for recipe, patches in ((augmented, 8), (resized, 4)):
        seen = []
        forward = recipe.network.forward

        def spy(volumes, keep, forward=forward, seen=seen):
            seen.append(patchify(volumes, PATCH).shape[1])
            return forward(volumes, keep)

        recipe.network.forward = spy
        assert recipe.loss(recipe.network, make_batch(), itself).value.isfinite()
        assert seen == [patches]


def test_a_resized_scan_keeps_its_order_and_its_mask():
    volume = torch.arange(8.0)[:, None, None].expand(8, 12, 8)
    mask = torch.zeros(8, 12, 8)
    mask[:, :6] = 1
    found = whole(volume, mask, (4, 4, 4))
    assert not found[:, 2:].any()
    assert (found[:, :2].diff(dim=0) > 0).all()
    torch.testing.assert_close(found[:, 0, 0].mean(), torch.tensor(0.0), atol=1e-6, rtol=0)


def test_what_cannot_be_masked_is_refused():
    with pytest.raises(UsageError, match="transformer"):
        mae.MAE("resnet18", width=0.0625)
    for ratio in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match="between 0 and 1"):
            mae.MAE(width=0.125, ratio=ratio)
    with pytest.raises(UsageError, match="one of the two"):
        mae.MAE(width=0.125, augment=SimCLRAugment(), output_shape=(8, 8, 8))
    for wrong in ({"output_shape": (8, 8, 9)}, {"augment": SimCLRAugment((8, 8, 9))}):
        with pytest.raises(UsageError, match="multiples"):
            mae.MAE(width=0.125, patch=PATCH, **wrong)
    with pytest.raises(UsageError, match="one patch"):
        mae.seen(1, 0.75, torch.Generator())
    recipe = mae.MAE(width=0.125, patch=PATCH)
    with pytest.raises(UsageError, match="multiples"):
        recipe.loss(recipe.network, make_batch(shape=(8, 12, 9)), itself)
    batch = make_batch()
    batch.masks[1] = False
    with pytest.raises(InputError, match="scan 11"):
        recipe.loss(recipe.network, batch, itself)


def test_a_runs_record_is_plain_data_and_tells_recipes_apart():
    plain = mae.MAE(width=0.125, patch=PATCH)
    other = mae.MAE(width=0.125, patch=PATCH, output_shape=(8, 8, 8))
    views = mae.MAE(width=0.125, patch=PATCH, augment=SimCLRAugment((8, 8, 8)))
    found = [json.dumps(r.describe(), default=sorted) for r in (plain, other, views)]
    assert len(set(found)) == 3
    assert plain.describe() == mae.MAE(width=0.125, patch=PATCH).describe()
