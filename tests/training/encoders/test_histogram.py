"""Local histograms: against loops over voxels, in a gridded encoder, its folder and its bundle."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from fmtool.errors import InputError, UsageError
from training import encoders
from training.encoders import architecture
from training.encoders.histogram import LEVELS, STEP, local_histogram
from training.encoders.layout import Residual


def head(*shape):
    """z-scores inside an ellipsoid, zero outside."""
    sides = [torch.linspace(-1.0, 1.0, n) for n in shape]
    inside = sum(g**2 for g in torch.meshgrid(*sides, indexing="ij")) < 0.7
    return (torch.randn(shape, generator=torch.Generator().manual_seed(0)) * inside)[None, None]


def loops(volume, stride, positions):
    """The means of the shares around each position, voxel pair by voxel pair."""
    coarse = min(2, stride)
    wanted = np.zeros((len(LEVELS), *positions))
    for j in np.ndindex(*positions):
        for pair in np.ndindex(*[stride // coarse] * 3):
            places = [
                [stride * p - stride // 2 + coarse * c + k for k in range(coarse)]
                for p, c in zip(j, pair, strict=True)
            ]
            seen = [
                [i for i in place if 0 <= i < n]
                for place, n in zip(places, volume.shape, strict=True)
            ]
            values = volume[np.ix_(*seen)].ravel()
            values = values[values != 0.0]
            if len(values):
                z = np.clip(values.mean(), LEVELS[0], LEVELS[-1])
                share = len(values) / coarse**3 / (stride // coarse) ** 3
                near = np.maximum(0.0, 1.0 - np.abs(z - np.array(LEVELS)) / STEP)
                wanted[(slice(None), *j)] += share * near
    return wanted


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_it_is_what_loops_count(stride):
    volume = head(13, 12, 10)
    positions = tuple(-(-n // stride) for n in volume.shape[2:])
    found = local_histogram(volume, stride, positions)[0].numpy()
    wanted = loops(volume[0, 0].numpy().astype(np.float64), stride, positions)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    # Together they are the share of brain.
    assert found.sum() * stride**3 == pytest.approx(float((volume != 0).sum()), rel=0.02)


@pytest.fixture(scope="module")
def encoder():
    whole = encoders.fresh("resnet18", 1 / 16).eval()
    return encoders.gridded(whole, 1, (2, 3, 3), histogram=True)


def test_they_stand_behind_the_networks_own_channels(encoder):
    volume = head(24, 32, 30)
    plain = encoders.gridded(encoders.fresh("resnet18", 1 / 16).eval(), 1, (2, 3, 3))
    with torch.inference_mode():
        maps = encoders.features(encoder, volume)
        torch.testing.assert_close(maps[:, :4], encoders.features(plain, volume))
        found = encoder(volume)
        torch.testing.assert_close(found, encoders.pool(encoder, maps))
    assert maps.shape[1] == 4 + len(LEVELS)
    assert found.shape == (1, encoders.feature_count(encoder)) == (1, 14 * 18)


def test_its_folder_keeps_them(encoder, tmp_path):
    folder = encoders.save_encoder(tmp_path / "grid", encoder, source="random")
    again, info = encoders.load_checkpoint(folder)
    volume = head(24, 32, 30)
    with torch.inference_mode():
        assert torch.equal(again(volume), encoder(volume))
    assert info["histogram"] is True
    assert encoders.describe(again) == encoders.describe(encoder)
    plain = encoders.gridded(encoders.fresh("resnet18", 1 / 16).eval(), 1, (2, 3, 3))
    assert encoders.digest(plain) != encoders.digest(encoder)
    facts = json.loads((folder / "encoder.json").read_text())
    del facts["histogram"]
    (folder / "encoder.json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match="another grid"):
        encoders.load_checkpoint(folder)


@pytest.mark.parametrize(("dilated", "stride"), [(False, 16), (True, 8)])
def test_they_lie_where_the_networks_positions_do(dilated, stride):
    """Stages that dilate instead of halving leave the map as fine as it was."""
    layout = Residual(conv1_t_stride=(2, 2, 2), dilated=dilated)
    whole = architecture.build("resnet10", 1 / 16, None, layout).eval()
    volume = head(64, 48, 80)
    with torch.inference_mode():
        maps = encoders.features(encoders.gridded(whole, 3, (1, 1, 1), histogram=True), volume)
    positions = tuple(maps.shape[2:])
    assert positions == tuple(n // stride for n in volume.shape[2:])
    wanted = local_histogram(volume, stride, positions)
    torch.testing.assert_close(maps[:, -len(LEVELS) :], wanted)


def test_strides_that_differ_are_refused():
    layout = Residual(conv1_t_stride=(1, 2, 2))
    whole = architecture.build("resnet10", 1 / 16, None, layout).eval()
    with pytest.raises(UsageError, match="one stride"):
        encoders.gridded(whole, 1, (1, 1, 1), histogram=True)
