"""SimCLR pretraining: two augmented views of each scan, pulled together against all others.

Source: 3D-Neuro-SimCLR (arXiv 2509.10620) after SimCLR (arXiv 2002.05709).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional

from fmtool.errors import InputError, UsageError
from training import encoders
from training.augment import SimCLRAugment

LEARNING_RATE = 3e-4
PROJECTION = 64
BF16_SMALLEST = 48
"""Voxels per axis of a view for bfloat16 on the CPU; the encoder's last map is a sixteenth of it.

On maps of one or two voxels per axis, torch 2.13's bfloat16 weight gradients of 3D convolutions
read memory that was never written and can be anything; from three on they agree with float32.
"""


def nt_xent(z1: Tensor, z2: Tensor, temperature: float = 0.5) -> Tensor:
    """The normalised temperature-scaled cross-entropy, mean over the 2N anchors.

    Each view must pick the other view of its scan among the 2N - 1 other views, by cosine.

    Args:
        z1: (N, P), one view of each scan; need not be normalised.
        z2: (N, P), the other view.
        temperature: divides the cosines.
    """
    z = functional.normalize(torch.cat((z1, z2)).float(), dim=1)
    count = len(z1)
    itself = torch.eye(2 * count, dtype=torch.bool, device=z.device)
    similarity = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    partner = torch.arange(2 * count, device=z.device).roll(count)
    return functional.cross_entropy(similarity, partner)


def projector(features: int) -> nn.Sequential:
    """The head that is used in pretraining only; upstream's layout and parameter names."""
    return nn.Sequential(
        nn.Linear(features, features, bias=False),
        nn.ReLU(),
        nn.Linear(features, PROJECTION, bias=False),
    )


def pretrain(
    volumes: Sequence[NDArray[np.float32]],
    masks: Sequence[NDArray[np.bool_]],
    width: float = 1.0,
    epochs: int = 1000,
    batch: int = 6,
    seed: int = 42,
    augment: SimCLRAugment | None = None,
    bf16: bool = False,
    device: str | torch.device = "cpu",
    on_epoch: Callable[[int, float], None] | None = None,
) -> nn.Module:
    """Train an encoder on unlabelled prepared volumes; equal seeds give equal encoders on a CPU.

    Args:
        volumes: prepared volumes (z, y, x), memory-mapped or not.
        masks: their brain masks.
        width: of the encoder, see `training.encoders.build`.
        epochs: passes over the scans, each scan giving two new views per pass.
        batch: scans per step; what is left over at the end of a pass waits for the next.
        seed: of weights, order and views.
        augment: how views are made; the paper's recipe at full size when absent.
        bf16: compute the network in bfloat16 (weights and loss stay float32).
        device: where to train.
        on_epoch: told the epoch's number from 0 and its mean loss.

    Raises:
        InputError: if there are fewer scans than a batch, a batch has fewer than two, or the loss
            stops being finite.
        UsageError: for bfloat16 on the CPU with views too small for it.
    """
    if batch < 2 or len(volumes) < batch:
        raise InputError(f"SimCLR needs batches of two scans or more; {len(volumes)} are given")
    device = torch.device(device)
    make_view = augment or SimCLRAugment()
    if bf16 and device.type == "cpu" and min(make_view.output_shape) < BF16_SMALLEST:
        raise UsageError(
            f"bfloat16 on the CPU needs views of {BF16_SMALLEST} voxels or more per axis, "
            f"not {make_view.output_shape}: train in float32"
        )
    with torch.random.fork_rng():  # building draws from torch's global generator
        torch.manual_seed(seed)
        encoder = encoders.build(width=width)
        head = projector(int(512 * width))
    model = nn.ModuleDict({"encoder": encoder, "projector": head}).to(device).train()
    # On a CPU 1.4 times as fast in float32, and 2 to 6 times in bfloat16.
    encoder.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    generator = torch.Generator().manual_seed(seed)

    for epoch in track(range(epochs), "SimCLR", console=Console(stderr=True), transient=True):
        losses = []
        order = torch.randperm(len(volumes), generator=generator)
        for chosen in order[: len(order) // batch * batch].reshape(-1, batch).tolist():
            first, second = [], []
            for index in chosen:
                volume = torch.from_numpy(np.array(volumes[index])).to(device)
                mask = torch.from_numpy(np.array(masks[index])).to(device)
                first.append(make_view(volume, mask, generator))
                second.append(make_view(volume, mask, generator))
            views = torch.stack(first + second)[:, None]
            views = views.to(memory_format=torch.channels_last_3d)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
                projections = head(encoder(views))
            loss = nt_xent(*projections.chunk(2))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(float(loss.detach()))
            if not np.isfinite(losses[-1]):
                raise InputError(f"SimCLR diverged in epoch {epoch}: the loss is {losses[-1]}")
        if on_epoch is not None:
            on_epoch(epoch, float(np.mean(losses)))
    encoder.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return encoder.eval()
