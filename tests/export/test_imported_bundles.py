"""From somebody's checkpoint to a bundle that answers as the library that made it, in both engines.

At the crop's own size, with the demonstration bundle's preprocessing.
"""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import torch
from monai.networks import nets
from torch import nn

from export.pack import pack
from fmtool import bundle as bundles
from fmtool import space
from fmtool.task import AGE
from runtime import attribution
from runtime.engines.opening import open_file
from runtime.engines.table import find
from training import encoders
from training.encoders.own_input import MIN_MAX, OwnInput
from training.evidence import head as heads
from training.runs.imported import convert

pytestmark = pytest.mark.slow

ENGINES = ("openvino", "onnxruntime")


@pytest.fixture(scope="module")
def scan():
    """A tissue-like volume, its mask, and its z-scores, which the graph makes too."""
    rng = np.random.default_rng(0)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in space.CROP_SHAPE), indexing="ij")
    mask = (sum(axis**2 for axis in axes) < 0.7).astype(np.float32)
    volume = (500 + 200 * np.sin(7 * axes[0]) + 60 * rng.random(mask.shape)) * mask
    inside = volume[mask > 0]
    scored = (volume - inside.mean()) / inside.std() * mask
    volume, mask, scored = (x.astype(np.float32)[None, None] for x in (volume, mask, scored))
    return {"volume": volume, "mask": mask}, torch.from_numpy(scored)


def stirred(network):
    torch.manual_seed(1)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm3d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2.0)
    return network.eval()


def answers(bundle, given):
    for name in ENGINES:
        row = find(name, "cpu")
        with closing(open_file(row, bundle.graph("float32"), "cpu", "float32")) as engine:
            yield engine.run(given)


def test_upstreams_fine_tuned_checkpoint_answers_as_upstream(scan, tmp_path):
    class FineTuned(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nets.resnet18(
                spatial_dims=3, n_input_channels=1, feed_forward=False, shortcut_type="B",
                bias_downsample=True, widen_factor=0.03125,
            )  # fmt: skip
            self.head = nn.Linear(16, 1)

        def forward(self, x):
            return self.head(self.encoder(x))

    torch.manual_seed(0)
    model = stirred(FineTuned())
    model.head.weight.data *= 20
    model.head.bias.data += 45
    torch.save({"model_state_dict": model.state_dict(), "epoch": 9}, tmp_path / "FT.pth.tar")
    convert(tmp_path / "FT.pth.tar", tmp_path / "FT", task=AGE, head=tmp_path / "age.json")
    pack(tmp_path / "ft.fmtool", tmp_path / "FT", [heads.load(tmp_path / "age.json")])
    given, scored = scan
    with torch.inference_mode():
        wanted, embedding = model(scored).numpy(), model.encoder(scored).numpy()
    with bundles.open(tmp_path / "ft.fmtool") as bundle:
        for found in answers(bundle, given):
            np.testing.assert_allclose(found["age"], wanted, rtol=1e-5)
            apart = np.linalg.norm(found["embedding"] - embedding) / np.linalg.norm(embedding)
            assert apart < 1e-5


def test_a_densenet_of_another_input_answers_as_monai_and_its_map_lies_in_place(scan, tmp_path):
    torch.manual_seed(0)
    small = {"init_features": 8, "growth_rate": 4, "block_config": (2, 2, 2, 1)}
    network = stirred(nets.DenseNet(spatial_dims=3, in_channels=1, out_channels=1, **small))
    torch.save(network.state_dict(), tmp_path / "a.pt")
    own = OwnInput((96, 96, 96), MIN_MAX)
    info = convert(tmp_path / "a.pt", tmp_path / "encoder", encoders.Told(own=own))
    rng = np.random.default_rng(2)
    head = heads.Head(AGE, rng.normal(size=info["features"]), 40.0, {}, info["sha256"])
    pack(tmp_path / "a.fmtool", tmp_path / "encoder", [head])
    given, _ = scan
    volume, mask = (torch.from_numpy(given[name]) for name in ("volume", "mask"))
    dark = (volume - volume[mask > 0].min()) * mask  # black is the brain's darkest voxel
    resized = nn.functional.interpolate(dark, (96, 96, 96), mode="trilinear")
    with torch.inference_mode():
        wanted = torch.relu(network.features(resized / resized.max())).mean((2, 3, 4)).numpy()
    with bundles.open(tmp_path / "a.fmtool") as bundle:
        assert bundle.manifest.encoder.more["input"]["shape"] == [96, 96, 96]
        for found in answers(bundle, given):
            apart = np.linalg.norm(found["embedding"] - wanted) / np.linalg.norm(wanted)
            assert apart < 1e-5
            (why,) = attribution.read(bundle, found, {}, ["age"])["age"]
            assert why.error < attribution.TOLERANCE["float32"]
            # 3 positions of 32 voxels, the first at 14 of 96: 14.5 x 150 / 96 - 0.5 along z.
            at = np.linalg.inv(space.crop_affine()) @ why.affine
            np.testing.assert_allclose(np.diag(at)[:3], [50.0, 64.0, 64.0])
            np.testing.assert_allclose(at[:3, 3], [22.15625, 28.5, 28.5])
