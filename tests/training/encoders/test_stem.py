"""The stem over one volume at a time is the plain stem over the whole batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from training import encoders
from training.encoders import stem

pytestmark = pytest.mark.usefixtures("one_thread")


def make(kind):
    torch.manual_seed(0)
    encoder = encoders.build(width=0.03125).to(kind).train()
    return encoder


def plain(encoder, volumes):
    for name in ("conv1", "bn1", "act", "maxpool"):
        volumes = encoder.get_submodule(name)(volumes)
    return volumes


def stepped(run, encoder, volumes):
    found = run(encoder, volumes)
    (
        found * torch.linspace(-1, 1, found.numel(), dtype=found.dtype).view_as(found)
    ).sum().backward()
    gradients = {n: p.grad for n, p in encoder.named_parameters() if p.grad is not None}
    return found, gradients, dict(encoder.named_buffers())


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [1, 3])
def test_values_gradients_and_statistics(kind, count):
    volumes = 3 + 2 * torch.randn(count, 1, 9, 10, 12, dtype=kind)
    wanted = stepped(plain, make(kind), volumes)
    found = stepped(stem.one_by_one, make(kind), volumes)
    assert set(found[1]) == {"conv1.weight", "bn1.weight", "bn1.bias"}
    assert found[2]["bn1.num_batches_tracked"] == 1
    tolerance = {"atol": 2e-3, "rtol": 1e-3} if kind == torch.float32 else {}
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, **tolerance)


def test_a_gradient_reaches_the_volumes():
    volumes = torch.randn(2, 1, 8, 8, 8, dtype=torch.float64)
    gradients = []
    for run in (plain, stem.one_by_one):
        given = volumes.clone().requires_grad_()
        run(make(torch.float64), given).square().sum().backward()
        gradients.append(given.grad)
    torch.testing.assert_close(*gradients)


def test_in_eval_mode_the_running_statistics_are_used_and_kept():
    encoder = make(torch.float64)
    plain(encoder, torch.randn(2, 1, 8, 8, 8, dtype=torch.float64))
    encoder.eval()
    before = {name: buffer.clone() for name, buffer in encoder.named_buffers()}
    volumes = torch.randn(2, 1, 8, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(stem.one_by_one(encoder, volumes), plain(encoder, volumes))
    torch.testing.assert_close(dict(encoder.named_buffers()), before, atol=0, rtol=0)


def test_in_bfloat16_autocast_it_agrees_to_its_rounding():
    volumes = torch.randn(2, 1, 12, 12, 12)
    outputs = []
    for run in (plain, stem.one_by_one):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs.append(run(make(torch.float32), volumes))
    assert outputs[1].dtype == outputs[0].dtype
    torch.testing.assert_close(*outputs, atol=0.05, rtol=0.02)


@pytest.mark.slow
def test_two_processes_normalise_by_all_volumes(tmp_path):
    torch.manual_seed(1)
    volumes = torch.randn(4, 1, 8, 8, 8, dtype=torch.float64) + torch.arange(4).view(4, 1, 1, 1, 1)
    torch.save(volumes, tmp_path / "volumes.pt")
    script = Path(__file__).with_name("stem_share.py")
    words = [str(tmp_path / "store"), str(tmp_path / "volumes.pt")]
    running = [
        subprocess.Popen([sys.executable, script, str(rank), *words, str(tmp_path / f"{rank}.pt")])
        for rank in (0, 1)
    ]
    assert [process.wait(300) for process in running] == [0, 0]
    shares = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]

    encoder = make(torch.float64)
    wanted = plain(encoder, volumes)
    wanted.square().sum().backward()
    torch.testing.assert_close(torch.cat([share["found"] for share in shares]), wanted)
    for share in shares:
        for name, gradient in share["gradients"].items():
            torch.testing.assert_close(gradient, encoder.get_parameter(name).grad)
        for name, buffer in share["buffers"].items():
            torch.testing.assert_close(buffer, encoder.get_buffer(name))
