"""The systems that the paper compares, and baselines that know little of the scan.

| system | what is fitted |
|---|---|
| LP SimCLR, LP MAE, LP random | a linear probe on a frozen encoder's embeddings |
| FT SimCLR, FT MAE | all weights, from a pretrained encoder |
| supervised ResNet-18, supervised ViT-Tiny | all weights, from random ones |
| brain volume | a linear model of one number, the brain's volume |
| smoothed scan | a linear model of smoothed tissue maps, `training.evidence.smoothed_scan` |
| LP uncnn | a linear probe on the features of the package uncnn, asked for by name |
| constant | the training labels' median, or one answer for everybody (AUC 0.5) |

A system is a function (bench, study, fold, seed) -> predictions of the fold's test scans: values of
a regression, log-odds of class 1. Linear models fit on the fold's training and validation part,
networks on the training part with the best epoch by the validation part: equally many labels.
"""

from __future__ import annotations

import copy
import io
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from benchmarks.protocols import pretrained
from benchmarks.protocols.bench import Bench
from benchmarks.protocols.study import Fold, Study
from benchmarks.shared.peers import untrained
from fmtool.errors import InputError, UsageError
from runtime.system import atomic
from training import evidence, probe
from training.evidence import smoothed_scan
from training.fit import devices
from training.fit.data import ScanDataset
from training.runs import labelled
from training.store.smoothed import gram
from training.supervised import Finetune, Supervised

Array = NDArray[np.float64]


def linear(x: Array, study: Study, fold: Fold) -> Array:
    """Predictions of `training.probe`'s linear model of features x, (N, F)."""
    weight, bias = probe.fit_affine(x[fold.fitted], study.take(fold.fitted))
    predicted: Array = x[fold.test] @ weight + bias
    return predicted


def probed(x: Array, study: Study, plan: Sequence[Fold]) -> Array:
    """(N,): `linear` of each scan by the fold that tests it; NaN where none does."""
    found = np.full(len(study.rows), np.nan)
    for fold in plan:
        found[fold.test] = linear(x, study, fold)
    return found


def fit(
    kind: type[Supervised], encoder: nn.Module, bench: Bench, study: Study, fold: Fold, seed: int
) -> Array:
    """Train a network on a fold and predict its test part; a finished fit comes from the cache.

    The encoder is left as it is; a copy is trained.
    """
    small = replace(study, entries=bench.small(study.entries))
    training, validation, test = (
        small.take(indices) for indices in (fold.train, fold.validation, fold.test)
    )
    settings = bench.size.training(seed, len(training.rows))
    labels = training.labels.tolist()
    recipe = kind(
        copy.deepcopy(encoder),
        study.task,
        labels,
        seed,
        input_shape=bench.size.shape,
        recompute=bench.size.recompute,
    )
    others = [ScanDataset(p.entries, p.labels.tolist()) for p in (validation, test)]
    seen = [[scans.digests, scans.labels] for scans in others]
    name = pretrained.key(recipe, ScanDataset(training.entries, labels), settings, seen)
    kept = bench.cache / "fits" / f"{recipe.name}-{name}.npy"
    if not kept.exists():
        run = kept.with_suffix("")
        fabric = devices.launch(settings)
        found, _ = labelled.fit(
            fabric, recipe, training, validation, test, settings, run, resume=True
        )
        content = io.BytesIO()
        np.save(content, found)
        atomic.write_bytes(kept, content.getvalue())
        shutil.rmtree(run)
    predictions: Array = np.load(kept, allow_pickle=False)
    return predictions


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


def smoothed(bench: Bench, study: Study, fold: Fold, seed: int) -> Array:
    """A linear model of the smoothed scan."""
    del bench, seed
    found = smoothed_scan.out_of_fold(gram(study.entries), study, [[(fold.fitted, fold.test)]])
    if found is None:
        raise InputError(
            f"{study.name}: the linear model of the smoothed scan cannot be fitted to "
            f"{len(fold.fitted)} of {len(study.rows)} scans; leave the system out"
        )
    return np.asarray(found[0, fold.test])


def untrained_network(bench: Bench, study: Study, fold: Fold, seed: int) -> Array:
    """A linear model of what a network says that nobody trained."""
    del seed
    return linear(untrained.features(study.entries, bench.cache), study, fold)


def constant(bench: Bench, study: Study, fold: Fold, seed: int) -> Array:
    """The median of the labels that may be used; one log-odds for everybody in a binary task."""
    del bench, seed
    regression = study.task.kind == "regression"
    value = evidence.constant(study.take(fold.fitted)) if regression else 0.0
    return np.full(len(fold.test), value)


SYSTEMS: dict[str, System] = {
    "constant": constant,
    "brain volume": brain_volume,
    "smoothed scan": smoothed,
    "LP random": linear_probe(Bench.random),
    "LP SimCLR": linear_probe(Bench.simclr),
    "FT SimCLR": finetuned(Bench.simclr),
    "LP MAE": linear_probe(Bench.mae),
    "FT MAE": finetuned(Bench.mae),
    "supervised ResNet-18": supervised("resnet18"),
    "supervised ViT-Tiny": supervised("vit_tiny"),
}

PEERS: dict[str, System] = {"LP uncnn": untrained_network}
"""Those of other packages, which need not be installed."""

NAMES = (*SYSTEMS, *PEERS)


def find(name: str) -> System:
    """The system of that name.

    Raises:
        UsageError: if there is none.
    """
    if name not in NAMES:
        raise UsageError(f"unknown system {name!r}; there are {', '.join(NAMES)}")
    return {**SYSTEMS, **PEERS}[name]


def repeated(
    name: str,
    bench: Bench,
    study: Study,
    plans: Sequence[Sequence[Fold]],
    seed: int,
    still: bool = False,
) -> Array:
    """(repeats, N): `cross_validate` of the system by each plan, with the seeds from `seed` on.

    With `still`, every plan has the same seed.
    """
    seeds = [seed if still else seed + r for r in range(len(plans))]
    pairs = zip(plans, seeds, strict=True)
    return np.stack([cross_validate(find(name), bench, study, p, s) for p, s in pairs])


def cross_validate(
    system: System, bench: Bench, study: Study, plan: Sequence[Fold], seed: int
) -> Array:
    """(N,): the system's prediction of each scan by the fold that tests it; NaN where none does."""
    predicted = np.full(len(study.rows), np.nan)
    for fold in plan:
        predicted[fold.test] = system(bench, study, fold, seed)
    return predicted
