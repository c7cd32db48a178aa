"""Activation recomputation: a stage keeps its input alone and runs again in the backward pass.

The second run must leave no trace: BatchNorm in training mode would move its running statistics
once more. So it writes to copies of its buffers, which are dropped afterwards; the batch statistics
that the output and the gradients rest on are computed from the same input, and are the same.
Source: "Training Deep Nets with Sublinear Memory Cost" (arXiv 1604.06174).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from torch import Tensor, nn
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
