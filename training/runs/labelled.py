"""Training from labels, top to bottom: scans of three parts in, an encoder and its head out.

The training part sets the weights, the validation part chooses the epoch, and the test part, which
neither has seen, gives the figures that are reported and calibrates the head.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from lightning.fabric import Fabric
from numpy.typing import NDArray

from fmtool.bundle.exposure import UNKNOWN, Exposure
from fmtool.space import CROP_SHAPE
from training import encoders, evidence
from training.cohort.exposure import exposure, overlap, refuse_labelled
from training.cohort.prepared import PreparedCohort
from training.evidence import sample, smoothed_scan, trust
from training.evidence.head import Head
from training.fit.data import ScanDataset
from training.fit.loop import Loop
from training.fit.settings import Settings
from training.probe import one_number
from training.runs.best import Best
from training.store.embed import embeddings
from training.store.smoothed import gram
from training.supervised import Supervised


@dataclass(frozen=True)
class Trained:
    """What a training from labels found.

    Attributes:
        head: the linear layer of the best epoch, with the test part's figures as evidence.
        predictions: (N,) of the test part: values, or logits of class 1.
        best_epoch: from 0.
    """

    head: Head
    predictions: NDArray[np.float64]
    best_epoch: int


def train(
    fabric: Fabric,
    recipe: Supervised,
    training: PreparedCohort,
    validation: PreparedCohort,
    test: PreparedCohort,
    settings: Settings,
    folder: Path,
    resume: bool = False,
    seen: Exposure = UNKNOWN,
) -> Trained:
    """Train, choose the best epoch, test; the recipe's network is left at that epoch.

    Args:
        fabric: see `training.fit.devices.launch`.
        recipe: supervised or fine-tuning.
        training: sets the weights.
        validation: chooses the epoch.
        test: is predicted once, at the end.
        settings: how long and on what.
        folder: of the run.
        resume: go on where an earlier run in the folder stopped.
        seen: whose scans and labels set the encoder's first weights.

    Raises:
        InputError: for parts that are empty, too small, or without both classes, or a test part
            whose labels have set the encoder's first weights.
        Stopped: after SIGTERM, once a checkpoint is written.
    """
    for part in (training, validation):
        seen |= exposure(part, part.entries, labels=True)
    tested = overlap(seen, test, test.entries)
    refuse_labelled(tested, test, "the test part")
    evidence.check_enough(test, "the test part")
    predictions, epoch = fit(fabric, recipe, training, validation, test, settings, folder, resume)
    weight, bias = recipe.affine()
    encoder = recipe.network.get_submodule("encoder")
    found = _evidence(recipe, training, test, predictions)
    found["exposure"] = tested.to_dict()
    # Calibrated by the test part: the epoch was chosen by the validation part's errors, which are
    # therefore too small.
    x = embeddings(encoder, test.entries, folder / "embeddings", recipe.input_shape)
    limits, found["trust"] = trust.split(x.astype(np.float64), test, weight, bias, settings.seed)
    digest, whom = encoders.digest(encoder), sample.describe(training)
    head = Head(recipe.task, weight, bias, found, digest, whom, limits, seen)
    return Trained(head, predictions, epoch)


def fit(
    fabric: Fabric,
    recipe: Supervised,
    training: PreparedCohort,
    validation: PreparedCohort,
    test: PreparedCohort,
    settings: Settings,
    folder: Path,
    resume: bool = False,
) -> tuple[NDArray[np.float64], int]:
    """The test part's predictions and the best epoch, without evidence; else as `train`."""
    best = Best(recipe, validation, folder, fabric.is_global_zero)
    scans = ScanDataset(training.entries, training.labels.tolist())
    loop = Loop(fabric, recipe, scans, settings, folder, resume)
    loop.run(best)
    fabric.barrier()
    epoch = best.restore(loop.record)
    recipe.network.eval()
    return recipe.predict(test.entries), epoch


def _evidence(
    recipe: Supervised,
    training: PreparedCohort,
    test: PreparedCohort,
    predictions: NDArray[np.float64],
) -> dict[str, Any]:
    """The test part's figures, and what the training part's baselines achieve on it."""
    fixed = np.full((1, len(test.rows)), evidence.constant(training))
    found = evidence.against_constant(test, predictions[None], fixed)
    weight, bias = one_number(training.volumes_ml, training)
    alone = (weight * test.volumes_ml + bias)[None]
    found["brain_volume"] = evidence.against_rival(test, predictions[None], alone)
    smooth = _smoothed(training, test)
    found["smoothed_scan"] = evidence.against_rival(test, predictions[None], smooth)
    tested = sample.describe(test)
    return {
        **found,
        **tested,
        "sample": sample.sentence(tested, recipe.task),
        "how": "held-out test",
        "input_shape": list(recipe.input_shape or CROP_SHAPE),
        "baseline_name": found["baseline_name"].replace("folds", "part"),
    }


def _smoothed(training: PreparedCohort, test: PreparedCohort) -> NDArray[np.float64] | None:
    """(1, N): what the training part's linear model of the smoothed scan says of the test part."""
    both = replace(training, rows=[*training.rows, *test.rows])
    train, tested = np.split(np.arange(len(both.rows)), [len(training.rows)])
    found = smoothed_scan.out_of_fold(
        gram([*training.entries, *test.entries]), both, [[(train, tested)]]
    )
    return None if found is None else found[:, tested]
