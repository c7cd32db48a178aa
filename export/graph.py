"""The bundle's model as one torch module: masked z-score -> encoder -> heads -> maps.

Heads that were trained each with an encoder of its own come as one module too, its encoders side
by side behind the one z-score: one file, one engine, one self-test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fmtool.bundle.encoder import EMBEDDING
from fmtool.bundle.exposure import Exposure
from fmtool.errors import InputError, UsageError
from fmtool.task import Task
from runtime.trust import Trust
from training import encoders

INPUTS = ("volume", "mask")


class LinearHead(Protocol):
    """What export needs of a head: plain data, wherever it was fitted."""

    @property
    def task(self) -> Task:
        """What it predicts."""

    @property
    def weight(self) -> NDArray[np.floating[Any]]:
        """[F], the task's unit (logit, or score) per unit of each feature; [K, F] of K logits."""

    @property
    def bias(self) -> float | NDArray[np.floating[Any]]:
        """In the task's unit (logit, or score); [K] of K logits."""

    @property
    def thresholds(self) -> Sequence[float] | None:
        """[K - 1] on the score, of K classes in an order; None of any other."""

    @property
    def evidence(self) -> Mapping[str, Any]:
        """How well it did and against what, as JSON."""

    @property
    def encoder_sha256(self) -> str:
        """The encoder it was fitted on; empty where that is not known."""

    @property
    def trust(self) -> Trust | None:
        """Its intervals, calibration and novelty; None of a head without."""

    @property
    def exposure(self) -> Exposure:
        """Whose scans and labels set the encoder's weights, and its own."""


def map_name(task: str) -> str:
    """The name of a task's attribution map among the outputs."""
    return f"{task}_map"


def masked_zscore(volume: Tensor, mask: Tensor) -> Tensor:
    """(volume - mean) / population standard deviation inside the mask, zero outside; float32.

    The same function as `training.encoders.masked_zscore`, written to survive export:

    * sums run axis by axis: ONNX Runtime adds 5.5 million float32 one after the other, which put
      5e-5 of relative error on a real-sized volume where this order leaves 2e-6;
    * the variance is kept above 1e-12 by a clamp, not by adding 1e-12: onnxscript's optimiser
      takes an addition of anything below 1e-8 for one of zero and removes it.
    """
    count = _total(mask).clamp(min=1.0)
    centred = (volume - _total(volume * mask) / count) * mask
    variance = _total(centred * centred) / count
    return centred / variance.clamp(min=1e-12).sqrt()


def _total(x: Tensor) -> Tensor:
    """Sum over x, then y, then z: [B, 1, z, y, x] -> [B, 1, 1, 1, 1]."""
    for axis in (4, 3, 2):
        x = x.sum(dim=axis, keepdim=True)
    return x


class BundleGraph(nn.Module):
    """An encoder and its linear heads, or several with theirs, from a prepared volume to outputs.

    Args:
        encoder: one, or several.
        heads: of all of them.
        of: the number of each head's encoder, from 0; may be left out of an only one.

    Inputs, both float32 [B, 1, z, y, x] on the model's crop (a residual network takes any spatial
    shape, a transformer whole numbers of its patches):
    `volume`, intensities of any scale, and `mask`, 1 inside the brain and 0 outside.

    Outputs, in the order of `output_names`: each encoder's embedding [B, F], `embedding` and, of a
    second one, `embedding_2`; one [B, 1] per task (a regression's value in its unit, a binary
    task's logit, an ordinal one's score), or [B, K] of a multiclass task's logits; one map
    [B, 1, d, h, w] per task, or [B, K, d, h, w], on its encoder's last feature grid. A head is
    linear and the embedding is a mean over positions, so a map is `w . f(position) + b`, w that of
    the position's cell in a gridded encoder, and its mean over positions is the task's output.

    The module is frozen: `train()` leaves BatchNorm on its stored statistics.

    Raises:
        InputError: if a head has another number of features than the encoder.
        UsageError: if two outputs would share a name.
    """

    encoder: nn.Module
    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        encoder: nn.Module | Sequence[nn.Module],
        heads: Sequence[LinearHead],
        of: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        networks = [encoder] if isinstance(encoder, nn.Module) else list(encoder)
        self.of = tuple(of if of is not None else [0] * len(heads))
        self.tasks = tuple(head.task for head in heads)
        self.evidence = {head.task.name: head.evidence for head in heads}
        names = [task.name for task in self.tasks]
        self.embeddings = tuple(_numbered(EMBEDDING, i) for i in range(len(networks)))
        self.output_names = (*self.embeddings, *names, *map(map_name, names))
        taken = [*INPUTS, *self.output_names]
        clash = sorted({name for name in taken if taken.count(name) > 1})
        if clash:
            raise UsageError(f"two of the model's outputs are called {clash[0]!r}; rename a task")
        for number, network in enumerate(networks):
            self.add_module(_numbered("encoder", number), network)
            own = [head for head, n in zip(heads, self.of, strict=True) if n == number]
            self._set_heads(number, encoders.feature_count(network), own)
        self.eval()

    @property
    def encoders(self) -> tuple[nn.Module, ...]:
        """The encoders, in the order of `embeddings`."""
        return tuple(self.get_submodule(_numbered("encoder", i)) for i in self._numbers)

    @property
    def _numbers(self) -> range:
        return range(len(self.embeddings))

    def _set_heads(self, number: int, features: int, heads: Sequence[LinearHead]) -> None:
        """An encoder's heads as one weight [rows, F] and bias [rows]."""
        for head in heads:
            if head.weight.shape[-1] != features:
                raise InputError(
                    f"the head of {head.task.name} has {head.weight.shape[-1]} weights and the "
                    f"encoder {features} features: it was fitted on another encoder"
                )
            if not np.size(head.bias) == head.task.outputs == len(np.atleast_2d(head.weight)):
                raise InputError(f"the head of {head.task.name} is of other classes than its task")
            if not head.task.parted_by(head.thresholds):
                raise InputError(
                    f"the head of {head.task.name} has other thresholds than its task's"
                )
        rows = [torch.as_tensor(np.atleast_2d(head.weight)).float() for head in heads]
        weight = torch.cat(rows) if rows else torch.zeros(0, features)
        self.register_buffer(_numbered("weight", number), weight)
        biases = [torch.as_tensor(np.atleast_1d(head.bias)).float() for head in heads]
        bias = torch.cat(biases) if biases else torch.zeros(0)
        self.register_buffer(_numbered("bias", number), bias)

    def train(self, mode: bool = True) -> BundleGraph:
        """Stay in evaluation mode whatever is asked."""
        super().train(False)
        return self

    def forward(self, volume: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """The outputs named by `output_names`; see the class for their shapes."""
        scored = masked_zscore(volume, mask)
        embeddings: list[Tensor] = []
        values: dict[str, Tensor] = {}
        maps: dict[str, Tensor] = {}
        for number, encoder in enumerate(self.encoders):
            features = encoders.features(encoder, scored)
            embedding = encoders.pool(encoder, features)
            embeddings.append(embedding)
            # Products and sums, not a matrix product: OpenVINO computes that one in bfloat16 where
            # the convolutions are, and an age would come out in steps of a quarter of a year. One
            # by one: OpenVINO 2026.4 adds a bias of several outputs along the batch instead.
            weight, bias = (self.get_buffer(_numbered(n, number)) for n in ("weight", "bias"))
            heads = list(zip(weight, bias, strict=True))
            own = [task for task, n in zip(self.tasks, self.of, strict=True) if n == number]
            single = [(embedding * w).sum(1, keepdim=True) + b for w, b in heads]
            values |= _by_task(own, single)
            maps |= _by_task(own, [encoders.weigh(encoder, features, w) + b for w, b in heads])
        names = [task.name for task in self.tasks]
        return (*embeddings, *(values[n] for n in names), *(maps[n] for n in names))


def _by_task(tasks: Sequence[Task], single: list[Tensor]) -> dict[str, Tensor]:
    """By name; a multiclass task's outputs beside each other, as one."""
    counts = [task.outputs for task in tasks]
    ends = np.cumsum(counts).tolist()
    parts = [single[end - n : end] for n, end in zip(counts, ends, strict=True)]
    return {
        task.name: part[0] if len(part) == 1 else torch.cat(part, dim=1)
        for task, part in zip(tasks, parts, strict=True)
    }


def _numbered(name: str, number: int) -> str:
    """The first encoder's parts go by the name alone, a second one's by `name_2`."""
    return f"{name}_{number + 1}" if number else name
