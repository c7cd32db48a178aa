"""The systems that the paper compares, and baselines that know little of the scan.

| system | what is fitted |
|---|---|
| LP SimCLR, LP MAE, LP random | a linear probe on a frozen encoder's embeddings |
| FT SimCLR, FT MAE | all weights, from a pretrained encoder |
| supervised ResNet-18, supervised ViT-Tiny | all weights, from random ones |
| brain volume | a linear model of one number, the brain's volume |
| mean | the training labels' mean, or one answer for everybody (AUC 0.5) |

A system is a function (bench, study, fold, seed) -> predictions of the fold's test scans: values of
a regression, log-odds of class 1. Linear models fit on the fold's training and validation part,
networks on the training part with the best epoch by the validation part: equally many labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from benchmarks.protocols import pretrained
from benchmarks.protocols.bench import Bench
from benchmarks.protocols.fits import fit, linear
from benchmarks.protocols.size import SIZES, Size
from benchmarks.protocols.study import Fold, Study
from fmtool.errors import UsageError
from training.supervised import Finetune, Supervised

__all__ = ["SIZES", "SYSTEMS", "Bench", "Size", "System", "cross_validate", "find", "repeated"]

Array = NDArray[np.float64]

System = Callable[[Bench, Study, Fold, int], Array]
EncoderOf = Callable[[Bench, Study, Fold, int], nn.Module]


def linear_probe(encoder_of: EncoderOf) -> System:
    """A frozen encoder and a linear model of its embeddings."""

    def system(bench: Bench, study: Study, fold: Fold, seed: int) -> Array:
        return linear(bench.embed(encoder_of(bench, study, fold, seed), study), study, fold)

    return system


def finetuned(encoder_of: EncoderOf) -> System:
    """All weights, from a pretrained encoder; the best epoch by validation."""

    def system(bench: Bench, study: Study, fold: Fold, seed: int) -> Array:
        encoder = encoder_of(bench, study, fold, seed)
        return fit(Finetune, encoder, bench, study, fold, seed)

    return system


def supervised(name: str) -> System:
    """All weights, from random ones; the best epoch by validation."""

    def system(bench: Bench, study: Study, fold: Fold, seed: int) -> Array:
        encoder = pretrained.fresh(name, bench.size, seed)
        return fit(Supervised, encoder, bench, study, fold, seed)

    return system


def brain_volume(bench: Bench, study: Study, fold: Fold, seed: int) -> Array:
    """A linear model of brain volume."""
    del bench, seed
    return linear(study.volumes_ml[:, None], study, fold)


def mean(bench: Bench, study: Study, fold: Fold, seed: int) -> Array:
    """The mean of the labels that may be used; one log-odds for everybody in a binary task."""
    del bench, seed
    value = study.labels[fold.fitted].mean() if study.task.kind == "regression" else 0.0
    return np.full(len(fold.test), value)


SYSTEMS: dict[str, System] = {
    "mean": mean,
    "brain volume": brain_volume,
    "LP random": linear_probe(Bench.random),
    "LP SimCLR": linear_probe(Bench.simclr),
    "FT SimCLR": finetuned(Bench.simclr),
    "LP MAE": linear_probe(Bench.mae),
    "FT MAE": finetuned(Bench.mae),
    "supervised ResNet-18": supervised("resnet18"),
    "supervised ViT-Tiny": supervised("vit_tiny"),
}


def find(name: str) -> System:
    """The system of that name.

    Raises:
        UsageError: if there is none.
    """
    if name not in SYSTEMS:
        raise UsageError(f"unknown system {name!r}; there are {', '.join(SYSTEMS)}")
    return SYSTEMS[name]


def repeated(
    name: str, bench: Bench, study: Study, plans: Sequence[Sequence[Fold]], seed: int
) -> Array:
    """(repeats, N): `cross_validate` of the system by each plan, with the seeds from `seed` on."""
    found = [cross_validate(find(name), bench, study, p, seed + r) for r, p in enumerate(plans)]
    return np.stack(found)


def cross_validate(
    system: System, bench: Bench, study: Study, plan: Sequence[Fold], seed: int
) -> Array:
    """(N,): the system's prediction of each scan by the fold that tests it; NaN where none does."""
    predicted = np.full(len(study.rows), np.nan)
    for fold in plan:
        predicted[fold.test] = system(bench, study, fold, seed)
    return predicted
