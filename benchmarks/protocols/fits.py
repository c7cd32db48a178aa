"""One fold fitted: a linear model of features, or a network whose finished fits are kept."""

from __future__ import annotations

import copy
import io
import shutil
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from benchmarks.protocols import pretrained
from benchmarks.protocols.bench import Bench
from benchmarks.protocols.study import Fold, Study
from runtime.system import atomic
from training import probe
from training.fit import devices
from training.fit.data import ScanDataset
from training.runs import labelled
from training.supervised import Supervised

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
        found = labelled.train(
            fabric, recipe, training, validation, test, settings, run, resume=True
        )
        content = io.BytesIO()
        np.save(content, found.predictions)
        atomic.write_bytes(kept, content.getvalue())
        shutil.rmtree(run)
    predictions: Array = np.load(kept, allow_pickle=False)
    return predictions
