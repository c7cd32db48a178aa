"""Recomputed activations: the same gradients, the same BatchNorm statistics, fewer tensors kept."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from training import encoders
from training.encoders.stem import recomputed

pytestmark = pytest.mark.usefixtures("one_thread")

NETWORKS = {"resnet18": (24, 24, 28), "resnet50": (24, 24, 28), "vit_tiny": (30, 16, 32)}


def make(name, kind=torch.float32):
    torch.manual_seed(0)
    width = 0.125 if name == "vit_tiny" else 0.03125
    return encoders.build(name, width).to(kind).train()


def trained(encoder, recompute, shape, rate):
    """All gradients of the last of three steps in one vector, and the state after it."""
    solver = torch.optim.SGD(encoder.parameters(), lr=rate)
    generator = torch.Generator().manual_seed(1)
    kind = next(encoder.parameters()).dtype
    for _ in range(3):
        volume = torch.randn(3, 1, *shape, generator=generator, dtype=kind)
        solver.zero_grad()
        found = encoders.features(encoder, volume, recompute=recompute)
        found.square().mean(dim=(2, 3, 4)).sum().backward()
        solver.step()
    return torch.cat([p.grad.flatten() for p in encoder.parameters()]), encoder.state_dict()


# In float32 the weights stand still, or steps would blow up what the order of sums changes; and
# a ResNet-50's gradient is 0.6 % off that of float64 on volumes this small, plain or not.
@pytest.mark.parametrize(
    ("kind", "rate", "tolerance"),
    [(torch.float64, 0.01, 1e-8), (torch.float32, 0.0, 2e-2)],
    ids=["64", "32"],
)
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_and_buffers_are_those_of_a_plain_pass(name, kind, rate, tolerance):
    plain = make(name, kind)
    again = copy.deepcopy(plain)
    gradients, state = trained(plain, False, NETWORKS[name], rate)
    same_gradients, same_state = trained(again, True, NETWORKS[name], rate)
    assert (same_gradients - gradients).norm() < tolerance * gradients.norm()
    torch.testing.assert_close(same_state, state, atol=1e-5, rtol=1e-4)
    if name != "vit_tiny":
        for key in state:
            assert not key.endswith("num_batches_tracked") or same_state[key] == 3
        assert state["bn1.running_mean"].abs().max() > 0


def test_a_stage_run_again_gives_the_very_same_numbers():
    plain = make("resnet18").layer1[0]
    again = copy.deepcopy(plain)
    volume = torch.randn(2, 2, 6, 6, 6)
    for stage, run in ((plain, plain), (again, lambda x: recomputed(again, x))):
        for _ in range(2):
            stage.zero_grad()
            run(volume).square().sum().backward()
    for a, b in zip(plain.parameters(), again.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)
    torch.testing.assert_close(again.state_dict(), plain.state_dict(), atol=0, rtol=0)


def test_in_eval_mode_nothing_moves():
    encoder = make("resnet18").eval()
    before = copy.deepcopy(encoder.state_dict())
    volume = torch.randn(2, 1, 16, 16, 16)
    found = encoders.features(encoder, volume, recompute=True)
    torch.testing.assert_close(found, encoders.features(encoder, volume))
    found.sum().backward()
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
