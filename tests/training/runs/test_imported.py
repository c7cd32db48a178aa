"""Checkpoints of upstream kept: encoder, projector, optimizer and fine-tuned head, and all refused.

The oracle is upstream's own model: MONAI's ResNet with a linear layer after it, under the names
that its fine-tuning saves.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from monai.networks.nets.resnet import resnet18
from torch import nn

from export.graph import BundleGraph
from fmtool.errors import InputError, UsageError
from fmtool.task import AGE, SEX
from runtime.answer import answer
from training import encoders
from training.encoders import upstream
from training.encoders.projector import projector
from training.evidence import head as heads
from training.fit import checkpoint
from training.runs.imported import convert

TINY = 0.03125


class FineTuned(nn.Module):
    """As upstream's evaluation trains it."""

    def __init__(self, outputs=1):
        super().__init__()
        self.encoder = resnet18(
            spatial_dims=3, n_input_channels=1, feed_forward=False, shortcut_type="B",
            bias_downsample=True, widen_factor=TINY,
        )  # fmt: skip
        self.head = nn.Linear(16, outputs)

    def forward(self, x):
        return self.head(self.encoder(x))


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A model after some steps of upstream's fine-tuning, and the file it saves."""
    torch.manual_seed(0)
    model = FineTuned()
    solver = torch.optim.Adam(filter(lambda p: p.requires_grad, model.parameters()), lr=1e-2)
    for _ in range(2):
        solver.zero_grad()
        (model(torch.randn(4, 1, 24, 24, 24)) - 50.0).square().mean().backward()
        solver.step()
    model.eval()
    return model, save(tmp_path_factory.mktemp("tuned") / "FT.pth.tar", model, solver)


def save(path, model, solver):
    content = {
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": solver.state_dict(),
        "epoch": 2,
        "best_metric": 31.5,
    }
    torch.save(content, path)
    return path


def test_what_is_served_is_what_upstream_computes(tuned, tmp_path):
    model, path = tuned
    info = convert(path, tmp_path / "encoder", task=AGE, head=tmp_path / "age.json")
    assert info["unexpected"] == []
    head = heads.load(tmp_path / "age.json")
    encoder, found = encoders.load_checkpoint(tmp_path / "encoder")
    assert head.encoder_sha256 == found["sha256"]
    graph = BundleGraph(encoder, [head])
    rng = np.random.default_rng(1)
    volume = torch.from_numpy(rng.random((2, 1, 32, 40, 40), np.float32) * 900)
    mask = torch.from_numpy(rng.random((2, 1, 32, 40, 40)) < 0.7)
    # Upstream's z-score: the mean and the population's deviation inside the mask.
    inside = volume.double() * mask
    count = mask.sum((2, 3, 4), keepdim=True)
    mean = inside.sum((2, 3, 4), keepdim=True) / count
    spread = (inside.square().sum((2, 3, 4), keepdim=True) / count - mean.square()).sqrt()
    scored = ((inside - mean) / spread * mask).float()
    with torch.inference_mode():
        wanted, served = model(scored), graph(volume, mask.float())[1]
    assert torch.allclose(served, wanted, rtol=1e-5, atol=1e-5)
    assert wanted.abs().max() > 1e-2


def test_there_is_no_evidence_and_every_answer_says_so(tuned, tmp_path):
    convert(tuned[1], tmp_path / "encoder", task=SEX, head=tmp_path / "sex.json")
    head = heads.load(tmp_path / "sex.json")
    assert (head.evidence, head.trust, head.sample) == ({}, None, {})
    said = " ".join(answer(SEX, 0.3, head.evidence).warnings)
    assert "How good this head is, is not known" in said
    assert "How good" not in " ".join(answer(SEX, 0.3, {"metric": "AUC", "value": 0.9}).warnings)


def test_without_a_word_the_head_is_named_and_left_out(tuned, tmp_path):
    info = convert(tuned[1], tmp_path / "encoder")
    assert info["unexpected"] == ["head.bias", "head.weight"]


def test_a_wrapped_model_has_the_same_head(tuned, tmp_path):
    model, _ = tuned
    state = {f"module.{name}": t for name, t in model.state_dict().items()}
    torch.save({"model_state_dict": state}, tmp_path / "a.pt")
    weight, bias = upstream.linear_head(tmp_path / "a.pt")
    assert weight.tolist() == model.head.weight[0].double().tolist()
    assert bias == float(model.head.bias)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"head.weight": None, "head.bias": None}, "holds no head.weight and head.bias"),
        ({"head.bias": None}, "lacks 1 of the 2 weights of upstream's linear head"),
        ({"head.weight": torch.zeros(3, 16), "head.bias": torch.zeros(3)}, "head of 3 outputs"),
        ({"head.weight": torch.zeros(1, 8)}, "shape"),
        ({"head.weight": torch.zeros(1)}, "shape"),
        ({"head.bias": torch.tensor([math.nan])}, "NaN"),
        ({"head.2.weight": torch.zeros(1)}, r"other layers: head\.2\.weight"),
    ],
)
def test_other_heads_are_refused_and_nothing_is_written(tuned, tmp_path, change, words):
    state = dict(tuned[0].state_dict()) | change
    torch.save({"model_state_dict": {k: t for k, t in state.items() if t is not None}},
               tmp_path / "a.pt")  # fmt: skip
    with pytest.raises(InputError, match=words):
        convert(tmp_path / "a.pt", tmp_path / "encoder", task=AGE, head=tmp_path / "h.json")
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]


def test_a_task_and_a_file_go_together(tuned, tmp_path):
    for given in ({"task": AGE}, {"head": tmp_path / "h.json"}):
        with pytest.raises(UsageError, match="name both"):
            convert(tuned[1], tmp_path / "encoder", **given)


class Upstream(nn.Module):
    """As upstream pretrains it, and how it resumes."""

    def __init__(self):
        super().__init__()
        self.encoder = FineTuned().encoder
        self.projector = projector(16)

    def resume(self, path):
        content = torch.load(path, weights_only=True)
        self.load_state_dict(content["model_state_dict"], strict=True)
        solver = torch.optim.Adam(self.parameters(), lr=3e-4)
        solver.load_state_dict(content["optimizer_state_dict"])
        self.projector(self.encoder(torch.randn(2, 1, 16, 16, 16))).square().mean().backward()
        solver.step()
        return solver


@pytest.fixture
def run(tmp_path):
    """A run's checkpoint after two steps, and its optimizer."""

    def make(kind):
        torch.manual_seed(0)
        model = Upstream()
        solver = kind(model.parameters())
        for _ in range(2):
            model.projector(model.encoder(torch.randn(2, 1, 16, 16, 16))).sum().backward()
            solver.step()
        state = checkpoint.State(2, {})
        return checkpoint.save(tmp_path / "checkpoints", model, solver, state), solver

    return make


def test_a_runs_optimizer_goes_along_and_upstream_resumes(tmp_path, run):
    folder, solver = run(lambda p: torch.optim.Adam(p, lr=3e-4))
    info = convert(folder / "network.safetensors", tmp_path / "a.tar")
    assert not any("fresh" in sentence for sentence in info["remarks"])
    wanted = solver.state_dict()["state"]
    found = torch.load(tmp_path / "a.tar", weights_only=True)["optimizer_state_dict"]["state"]
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[i][k], wanted[i][k]) for i in wanted for k in wanted[i])
    resumed = Upstream().resume(tmp_path / "a.tar")
    assert {float(entry["step"]) for entry in resumed.state.values()} == {3.0}
    # From upstream's file to another: still there.
    convert(tmp_path / "a.tar", tmp_path / "b.tar")
    assert torch.load(tmp_path / "b.tar", weights_only=True)["optimizer_state_dict"]["state"]


def test_without_one_that_upstream_takes_it_starts_fresh_aloud(tmp_path, run):
    folder, _ = run(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9))
    info = convert(folder / "network.safetensors", tmp_path / "a.tar")
    assert "The optimizer starts fresh" in info["remarks"][-1]
    resumed = Upstream().resume(tmp_path / "a.tar")
    assert {float(entry["step"]) for entry in resumed.state.values()} == {1.0}


@pytest.mark.parametrize("state", [{}, {"state": 3}, {"state": {0: {}}, "param_groups": [{}]}, []])
def test_what_is_no_optimizers_state_is_not_taken(tmp_path, state):
    encoder, head = encoders.build(width=TINY), projector(16)
    assert not upstream.accepts(upstream.solver(encoder, head), state)


def test_convert_both_ways(tmp_path):
    pair = encoders.build(width=TINY).eval(), projector(16)
    upstream.write(tmp_path / "a.pt", *pair, 3)
    convert(tmp_path / "a.pt", tmp_path / "b.tar")
    encoder, head, info = upstream.load_pretraining(tmp_path / "b.tar")
    assert encoders.digest(encoder) == encoders.digest(pair[0])
    assert torch.equal(head[2].weight, pair[1][2].weight)
    assert info["epoch"] == 3
    convert(tmp_path / "b.tar", tmp_path / "folder")
    loaded, info = encoders.load_checkpoint(tmp_path / "folder")
    assert encoders.digest(loaded) == encoders.digest(pair[0])
    assert info["source"] == "checkpoint b.tar"
    assert "optimizer" not in info
    convert(tmp_path / "folder", tmp_path / "c.pth")
    assert encoders.digest(encoders.load_checkpoint(tmp_path / "c.pth")[0]) == encoders.digest(
        loaded
    )
