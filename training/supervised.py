"""Supervised training: an encoder and one linear layer, all weights, from labels.

With e = encoder(scan), the output o = w . e + b and labels y:

    regression: loss = mean of (o - (y - m) / s)^2      m, s: mean, deviation of training labels
    binary:     loss = mean of c_y * log(1 + exp((1 - 2 y) o))
    multiclass: loss = mean of c_y * -log softmax_y(o)                  o: one number a class
    ordinal:    loss = mean of c_y * -log P(y | o)            o: the steps of one score, which are
                                      its differences from trained thresholds that stay in order

m and s only put the labels on the scale that first weights expect; they are folded into w and b at
the end. c is 1, or with `balance` the inverse of the class's share. Without pretraining this is the
paper's supervised baseline; `training.supervised` starts it from an encoder.

Source: 3D-Neuro-SimCLR (arXiv 2509.10620): mean squared error and binary cross-entropy, Adam at
1e-4 for 300 epochs of batches of 6, no augmentation, the best epoch by validation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from fmtool.errors import InputError, UsageError
from fmtool.space import CROP_SHAPE
from fmtool.task import Task
from training import encoders
from training.augment.whole import Shape
from training.augment.whole import batch as whole_batch
from training.cohort.prepared import PreparedScan
from training.evidence.head import Linear
from training.fit.recipe import Gather, Loss, ScanBatch
from training.fit.settings import Settings

EPOCHS = 300


class SupervisedNetwork(nn.Module):
    """Encoder and linear layer: [B, 1, z, y, x] -> (B,), or (B, K) of K > 1 outputs.

    Args:
        encoder: with its first weights.
        recompute: trade time for memory.
        outputs: K.
        ordered: whether these are the steps of one score.
    """

    def __init__(
        self, encoder: nn.Module, recompute: bool = False, outputs: int = 1, ordered: bool = False
    ) -> None:
        super().__init__()
        self.encoder = encoder
        features = encoders.feature_count(encoder)
        self.head = Steps(features, outputs) if ordered else nn.Linear(features, outputs)
        self._recompute = recompute

    def forward(self, volumes: Tensor) -> Tensor:
        """The output o of each volume, on the loss's scale."""
        maps = encoders.features(self.encoder, volumes, recompute=self._recompute)
        output: Tensor = self.head(encoders.pool(self.encoder, maps))
        return output if output.shape[1] > 1 else output[:, 0]


class Steps(nn.Module):
    """A score less each of K rising thresholds, (B, F) -> (B, K): see `runtime.trust.ordinal`."""

    def __init__(self, features: int, count: int) -> None:
        super().__init__()
        self.score = nn.Linear(features, 1)
        self.gaps = nn.Parameter(torch.zeros(count - 1))  # their logarithms: each is above 0

    def thresholds(self) -> Tensor:
        """(K,), whose mean is zero."""
        found = functional.pad(self.gaps.exp().cumsum(0), (1, 0))
        return found - found.mean()

    def forward(self, embedding: Tensor) -> Tensor:
        """The steps of each row."""
        score: Tensor = self.score(embedding)
        return score - self.thresholds()


class Supervised:
    """The recipe.

    Args:
        encoder: with its first weights; trained in place.
        task: what to learn.
        labels: of the training scans; they set the regression's scale or the classes' weights.
        seed: of the linear layer's first weights.
        balance: weigh the classes equally.
        input_shape: (z, y, x) voxels that scans are resized to; None for the paper's full size.
        recompute: trade time for memory; the result is the same up to rounding.

    Raises:
        InputError: if all labels are the same, or a class of several has none.
        UsageError: for balanced classes of a regression, or an empty input.
    """

    name = "supervised"

    def __init__(
        self,
        encoder: nn.Module,
        task: Task,
        labels: Sequence[float],
        seed: int = 42,
        balance: bool = False,
        input_shape: Shape | None = None,
        recompute: bool = False,
    ) -> None:
        if balance and task.kind == "regression":
            raise UsageError(f"{task.name} is a regression and has no classes to balance")
        if input_shape is not None and min(input_shape) < 1:
            raise UsageError(f"an input has a voxel or more along each axis, not {input_shape}")
        self._start = encoders.digest(encoder)
        with torch.random.fork_rng(devices=[]):  # building draws from torch's global generator
            torch.manual_seed(seed)
            self.network: nn.Module = SupervisedNetwork(
                encoder, recompute, task.logits, task.kind == "ordinal"
            )
        self.task, self.seed, self.balance, self.input_shape = task, seed, balance, input_shape
        values = np.asarray(labels, dtype=np.float64)
        if len(np.unique(values)) < 2:
            raise InputError(f"all training labels of {task.name} are the same: nothing to learn")
        regression = task.kind == "regression"
        self.mean = float(values.mean()) if regression else 0.0
        self.scale = float(values.std()) if regression else 1.0
        counts = np.array([(values == c).sum() for c in range(len(task.classes or ()))])
        if not regression and not counts.all():
            absent = (task.classes or ())[int(counts.argmin())]
            raise InputError(f"no training scan of {task.name} is of class {absent}; add some")
        even = len(values) / np.maximum(counts * len(counts), 1)
        self._weights = even.tolist() if balance else [1.0] * len(counts)

    def describe(self) -> dict[str, Any]:
        """See `training.fit.recipe.Recipe`."""
        return {
            "encoder": self._start,
            "seed": self.seed,
            "task": self.task.to_dict(),
            "balance": self.balance,
            "input_shape": self.input_shape,
        }

    def check(self, settings: Settings, device: torch.device) -> None:
        """Refuse what BatchNorm cannot normalise.

        Raises:
            UsageError: for batches of one scan whose last feature map is one voxel.
        """
        del device
        shape = self.input_shape or CROP_SHAPE
        encoder = self.network.get_submodule("encoder")
        one = settings.batch == 1 and any(isinstance(m, nn.BatchNorm3d) for m in encoder.modules())
        if one and math.prod(encoders.map_shape(encoder, shape)) == 1:
            raise UsageError(
                f"one scan of {shape} voxels leaves BatchNorm a single value to normalise; "
                "take batches of two scans or more, or a larger input"
            )

    def loss(self, network: nn.Module, batch: ScanBatch, gather: Gather) -> Loss:
        """The loss above over this process's scans; the processes' mean is that over all."""
        del gather
        output = network(whole_batch(batch.volumes, batch.masks, self.input_shape)).float()
        return Loss(self.of_output(output, batch.labels), {})

    def of_output(self, output: Tensor, labels: Tensor) -> Tensor:
        """The loss of outputs o, (n,) or (n, 1), or (n, K) of K logits, and labels (n,)."""
        if self.task.kind == "ordinal":
            each = _surprise(output, labels.long())
        elif self.task.kind == "multiclass":
            each = functional.cross_entropy(output, labels.long(), reduction="none")
        elif self.task.kind == "binary":
            each = functional.binary_cross_entropy_with_logits(
                output.flatten(), labels, reduction="none"
            )
        else:
            return (output.flatten() - (labels - self.mean) / self.scale).square().mean()
        given = torch.tensor(self._weights, dtype=output.dtype, device=output.device)
        return (given[labels.long()] * each).mean()

    @torch.no_grad()
    def predict(self, scans: Sequence[PreparedScan]) -> NDArray[np.float64]:
        """(N,): values in the task's unit, or logits of class 1; (N, K) of K logits.

        BatchNorm goes by its statistics.
        """
        device = next(self.network.parameters()).device
        training = self.network.training
        self.network.eval()
        found = []
        for scan in scans:
            arrays = (np.array(scan.volume), np.array(scan.mask))
            volume, mask = (torch.from_numpy(array).to(device)[None] for array in arrays)
            output = self.network(whole_batch(volume, mask, self.input_shape))[0]
            found.append(output.cpu().double().numpy() * self.scale + self.mean)
        self.network.train(training)
        return np.array(found)

    def affine(self) -> Linear:
        """The linear layer as weight and bias, in the task's unit or as log-odds.

        Of several classes as logits whose mean is zero: their softmax is the same, and no map of
        a class holds what all have. Of an ordinal task the biases are the steps'.
        """
        head = self.network.get_submodule("head")
        if isinstance(head, Steps):
            score = head.score.weight[0].detach().cpu().double().numpy()
            steps = head.score.bias - head.thresholds()
            return score, steps.detach().cpu().double().numpy()
        weight = head.get_parameter("weight").detach().cpu().double().numpy()
        bias = head.get_parameter("bias").detach().cpu().double().numpy()
        if len(bias) > 1:
            return weight - weight.mean(axis=0), bias - bias.mean()
        return weight[0] * self.scale, float(bias[0]) * self.scale + self.mean


def _surprise(steps: Tensor, labels: Tensor) -> Tensor:
    """(n,): -log of the probability of each class, by (n, K) steps; see `runtime.trust.ordinal`."""
    reached = functional.pad(functional.logsigmoid(steps), (1, 0))
    stayed = functional.pad(functional.logsigmoid(-steps), (0, 1))
    between = torch.log(-torch.expm1(steps[:, 1:] - steps[:, :-1]))
    each: Tensor = reached + stayed + functional.pad(between, (1, 1))
    return -each.gather(1, labels[:, None])[:, 0]


class Finetune(Supervised):
    """The recipe; its encoder is a pretrained one, as `training.encoders.load_checkpoint` gives."""

    name = "finetune"
