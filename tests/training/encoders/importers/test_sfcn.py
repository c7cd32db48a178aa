"""SFCN by the names of its published weights, against the paper's layers in torch's own words."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from torch.nn import functional

from fmtool import space
from fmtool.errors import InputError
from training import encoders
from training.encoders.importers import sfcn
from training.encoders.layout import Plain
from training.encoders.own_input import FSL, MEAN, OwnInput
from training.encoders.sfcn import SFCN

pytestmark = pytest.mark.usefixtures("one_thread")

NARROW = (2, 3, 4, 4, 5, 3)


def published(channels=NARROW):
    """A state dictionary as a DataParallel saves it."""
    torch.manual_seed(0)
    state, before = {}, 1
    for i, after in enumerate(channels):
        side = 1 if i == len(channels) - 1 else 3
        name = f"module.feature_extractor.conv_{i}"
        state |= {
            f"{name}.0.weight": torch.randn(after, before, side, side, side) * 0.3,
            f"{name}.0.bias": torch.randn(after) * 0.1,
            f"{name}.1.weight": torch.rand(after) + 0.5,
            f"{name}.1.bias": torch.randn(after) * 0.1,
            f"{name}.1.running_mean": torch.randn(after) * 0.1,
            f"{name}.1.running_var": torch.rand(after) + 0.5,
            f"{name}.1.num_batches_tracked": torch.tensor(7),
        }
        before = after
    state["module.classifier.conv_6.weight"] = torch.randn(40, before, 1, 1, 1)
    state["module.classifier.conv_6.bias"] = torch.randn(40)
    return state


def paper(state, volume):
    """Figure 1 of the paper up to its average pooling, over all that is left."""
    count = sum(name.endswith(".0.weight") for name in state)
    for i in range(count):
        block = {n.split(f"conv_{i}.")[1]: t for n, t in state.items() if f"or.conv_{i}." in n}
        last = i == count - 1
        volume = functional.conv3d(
            volume, block["0.weight"], block["0.bias"], padding=int(not last)
        )
        norm = (block[f"1.{n}"] for n in ("running_mean", "running_var", "weight", "bias"))
        volume = functional.batch_norm(volume, *norm)
        volume = functional.relu(volume if last else functional.max_pool3d(volume, 2))
    return volume.mean((2, 3, 4))


@pytest.fixture
def small(monkeypatch):
    """The same centre of FSL's grid, less of it, so that a test takes no seconds."""
    monkeypatch.setattr(sfcn, "INPUT", OwnInput((32, 64, 96), MEAN, FSL))


@torch.inference_mode()
def test_its_own_input_gives_the_papers_embedding(small, imported):
    state = published()
    encoder, info = imported(state)
    volume = torch.rand(1, 1, 32, 64, 96)
    torch.testing.assert_close(encoder(volume), paper(state, volume), atol=1e-5, rtol=1e-5)
    assert (info["architecture"], info["features"]) == ("sfcn", 3)
    assert info["dropped"] == ["classifier.conv_6.bias", "classifier.conv_6.weight"]
    assert info["unexpected"] == []
    (said,) = info["remarks"]
    assert "160x192x160" in said
    assert "rigid" in said


@torch.inference_mode()
def test_a_crop_becomes_its_grid_and_intensities(small, imported):
    """Against FSL's grid by world coordinates, voxel by voxel."""
    against_fsl(imported, (32, 64, 96))


@pytest.mark.slow
@torch.inference_mode()
def test_a_crop_becomes_the_published_grid(imported):
    against_fsl(imported, (160, 192, 160))


def against_fsl(imported, shape):
    state = published()
    encoder, _ = imported(state)
    rng = np.random.default_rng(0)
    crop = np.zeros(space.CROP_SHAPE, np.float32)
    crop[20:130, 20:170, 30:150] = rng.random((110, 150, 120), np.float32) * 600 + 1
    crop[20, 20, 30] = 0.0  # the darkest voxel of the brain is black
    inside = np.zeros(space.CROP_SHAPE, np.float32)
    inside[20:130, 20:170, 30:150] = 1
    fsl = np.array([[-1, 0, 0, 90], [0, 1, 0, -126], [0, 0, 1, -72], [0, 0, 0, 1]], float)
    start = [(n - m) // 2 for n, m in zip((182, 218, 182), shape, strict=True)]
    index = np.indices(shape).reshape(3, -1).T + start
    there = nib.affines.apply_affine(np.linalg.inv(space.crop_affine()) @ fsl, index)
    there = np.rint(there).astype(int).T
    fine = np.all((there >= 0) & (there < np.array(space.CROP_SHAPE)[:, None]), axis=0)
    own = np.zeros(index.shape[0], np.float32)
    own[fine] = crop[tuple(there[:, fine])]
    own /= crop.sum(dtype=np.float64) / (182 * 218 * 182)  # all of the brain lies on FSL's grid
    wanted = paper(state, torch.from_numpy(own.reshape(shape))[None, None])
    volume, mask = (torch.from_numpy(x)[None, None] for x in (crop, inside))
    scored = encoders.masked_zscore(volume, mask)
    torch.testing.assert_close(encoder(scored), wanted, atol=1e-5, rtol=1e-5)
    maps = encoders.features(encoder, scored)
    assert maps.shape[2:] == tuple(n // 32 for n in reversed(shape))
    torch.testing.assert_close(maps.mean((2, 3, 4)), wanted, atol=1e-5, rtol=1e-5)


def test_published_channels_make_three_million_parameters():
    """As the paper says; 2600 of them are its 40 age bins'."""
    with torch.device("meta"):
        count = sum(p.numel() for p in SFCN(Plain()).parameters())
    assert count + 40 * 65 == 2_952_936


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("feature_extractor.conv_2.1.weight", None, "lacks 1 of the"),
        ("feature_extractor.conv_0.0.weight", torch.zeros(2, 1, 3, 3), "not of volumes"),
        ("feature_extractor.conv_0.0.weight", torch.zeros(2, 4, 3, 3, 3), "shape"),
        ("feature_extractor.conv_6.0.weight", torch.zeros(2, 3, 1, 1, 1), "1 to 6 parts"),
        ("feature_extractor.conv_5.0.weight", torch.zeros(4096, 5, 1, 1, 1), "channels 4096"),
    ],
)
def test_what_is_none_is_refused(imported, name, tensor, words):
    state = published() | {f"module.{name}": tensor}
    with pytest.raises(InputError, match=words):
        imported({name: t for name, t in state.items() if t is not None})
