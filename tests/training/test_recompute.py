"""Recomputed activations: the same gradients, the same BatchNorm statistics, fewer tensors kept."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from training import encoders
from training.recompute import recomputed

pytestmark = pytest.mark.usefixtures("one_thread")

NETWORKS = {"resnet18": (16, 16, 20), "resnet50": (16, 16, 20), "vit_tiny": (30, 16, 32)}


def make(name):
    torch.manual_seed(0)
    return encoders.build(name, width=0.125 if name == "vit_tiny" else 0.03125).train()


def trained(encoder, recompute, shape, steps=2):
    """The gradients of the last step, and the state after it."""
    solver = torch.optim.SGD(encoder.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        volume = torch.randn(2, 1, *shape, generator=generator)
        solver.zero_grad()
        found = encoders.features(encoder, volume, recompute=recompute)
        found.square().mean(dim=(2, 3, 4)).sum().backward()
        solver.step()
    gradients = {name: p.grad for name, p in encoder.named_parameters()}
    return gradients, encoder.state_dict()


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_and_buffers_are_those_of_a_plain_pass(name):
    plain = make(name)
    again = copy.deepcopy(plain)
    gradients, state = trained(plain, False, NETWORKS[name])
    same_gradients, same_state = trained(again, True, NETWORKS[name])
    torch.testing.assert_close(same_gradients, gradients, atol=0, rtol=0)
    torch.testing.assert_close(same_state, state, atol=0, rtol=0)
    if name != "vit_tiny":
        assert state["bn1.num_batches_tracked"] == 2
        assert state["bn1.running_mean"].abs().max() > 0


def test_in_eval_mode_nothing_moves():
    encoder = make("resnet18").eval()
    before = copy.deepcopy(encoder.state_dict())
    volume = torch.randn(2, 1, 16, 16, 16)
    encoders.features(encoder, volume, recompute=True).sum().backward()
    torch.testing.assert_close(encoder.state_dict(), before, atol=0, rtol=0)


def test_buffers_are_the_modules_own_again_even_after_an_error():
    class Fails(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm3d(1)
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            if self.calls > 1:
                raise RuntimeError("no memory")
            return self.norm(x).square()

    stage = Fails()
    buffer = stage.norm.running_mean
    found = recomputed(stage, torch.randn(2, 1, 4, 4, 4, requires_grad=True))
    moved = buffer.clone()
    with pytest.raises(RuntimeError, match="no memory"):
        found.sum().backward()
    assert stage.norm.running_mean is buffer
    assert torch.equal(buffer, moved)


@pytest.mark.parametrize("name", NETWORKS)
def test_less_is_kept_for_the_backward_pass(name):
    def kept(recompute):
        total = 0

        def pack(tensor):
            nonlocal total
            total += tensor.numel() if tensor.data_ptr() not in given else 0
            return tensor

        given = {tensor.data_ptr() for tensor in (volume, *encoder.parameters())}
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            encoders.features(encoder, volume, recompute=recompute)
        return total

    encoder = make(name)
    volume = torch.randn(2, 1, *NETWORKS[name])
    assert kept(True) < 0.25 * kept(False)
