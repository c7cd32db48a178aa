"""A residual network's first layers over one volume at a time: BatchNorm still over all of them.

The first convolution keeps the volume's resolution: at the model's crop its map is sixteen times
any later one, and a batch of them is what fills a GPU. Nothing of it is kept here. For volumes
x_1 .. x_N, w the convolution, each line a stage that runs again in the backward pass:

    m_i, v_i = mean and variance per channel of w * x_i
    m = mean of m_i;  v = mean of v_i + mean of (m_i - m)^2
    y_i = maxpool(relu((w * x_i - m) / sqrt(v + eps) * gamma + beta))

m and v are those of the whole batch, so gradients and running statistics are BatchNorm's own
(Ioffe and Szegedy, arXiv 1502.03167), up to the order of sums. The price is the first convolution
twice as often. Between processes, m_i and v_i of all are gathered, as SyncBatchNorm does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_gather
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


def recomputed(stage: nn.Module, x: Tensor) -> Tensor:
    """`stage(x)`, of which only `x` is kept for the backward pass.

    Gradients and BatchNorm's running statistics are those of a plain call. The stage must draw no
    random numbers and must not change `x` in place.
    """

    def contexts() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        return nullcontext(), _buffers_kept(stage)

    call: Callable[..., Tensor] = checkpoint
    return call(stage, x, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)


@contextmanager
def _buffers_kept(stage: nn.Module) -> Iterator[None]:
    """Let the stage write to copies of its buffers.

    Copies, not none at all: the recomputation must save as many tensors as the first run did. And
    not saved and written back: autograd would see a buffer that it saved change in place.
    """
    kept = [(m, dict(m._buffers)) for m in stage.modules() if m._buffers]
    try:
        for module, buffers in kept:
            for name, buffer in buffers.items():
                module._buffers[name] = None if buffer is None else buffer.clone()
        yield
    finally:
        for module, buffers in kept:
            module._buffers.update(buffers)


class _Moments(nn.Module):
    """A volume -> (3, C): mean, variance and number of positions of its map's channels."""

    def __init__(self, convolution: nn.Module) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, volume: Tensor) -> Tensor:
        found = self.convolution(volume)
        found = found.to(torch.promote_types(found.dtype, torch.float32))
        variance, mean = torch.var_mean(found, dim=(0, 2, 3, 4), correction=0)
        return torch.stack((mean, variance, torch.full_like(mean, found[0, 0].numel())))


class _Reduce(nn.Module):
    """A volume -> its map, normalised by a given scale and shift per channel, and pooled."""

    def __init__(self, encoder: nn.Module, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.convolution, self.pool = (
            encoder.get_submodule("conv1"),
            encoder.get_submodule("maxpool"),
        )
        self.scale, self.shift = scale, shift

    def forward(self, volume: Tensor) -> Tensor:
        found = self.convolution(volume)
        normal = found * self.scale[:, None, None, None] + self.shift[:, None, None, None]
        pooled: Tensor = self.pool(functional.relu(normal.to(found.dtype)))
        return pooled


def one_by_one(encoder: nn.Module, volumes: Tensor) -> Tensor:
    """What `conv1`, `bn1`, `act` and `maxpool` make of [B, 1, D, H, W], with little memory.

    Args:
        encoder: a residual network by `training.encoders.build`; its BatchNorm, synchronised or
            not, averages its running statistics as MONAI builds it, with a momentum.
        volumes: z-scored.
    """
    norm = encoder.get_submodule("bn1")
    assert isinstance(norm, nn.BatchNorm3d | nn.SyncBatchNorm)
    if norm.training:
        mean, variance = _statistics(encoder.get_submodule("conv1"), norm, volumes)
    else:
        mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    scale = norm.weight * (variance + norm.eps).rsqrt()
    reduce = _Reduce(encoder, scale, norm.bias - mean * scale)
    return torch.cat([recomputed(reduce, volume) for volume in volumes.split(1)])


def _statistics(
    convolution: nn.Module, norm: nn.BatchNorm3d | nn.SyncBatchNorm, volumes: Tensor
) -> tuple[Tensor, Tensor]:
    """The batch's mean and variance per channel; the running ones are moved towards them."""
    moments = _Moments(convolution)
    found = torch.stack([recomputed(moments, volume) for volume in volumes.split(1)])
    if isinstance(norm, nn.SyncBatchNorm) and distributed.is_initialized():
        found = torch.cat(all_gather(found, group=norm.process_group or distributed.group.WORLD))
    means, variances, counts = found.unbind(1)
    mean = means.mean(0)
    variance = (variances + (means - mean).square()).mean(0)
    count = counts.sum(0)
    momentum = norm.momentum
    assert momentum is not None
    with torch.no_grad():
        norm.get_buffer("running_mean").lerp_(mean, momentum)
        norm.get_buffer("running_var").lerp_(variance * (count / (count - 1)), momentum)
        norm.get_buffer("num_batches_tracked").add_(1)
    return mean, variance
