"""Training from labels, top to bottom: scans of three parts in, an encoder and its head out.

The training part sets the weights, the validation part chooses the epoch, and the test part, which
neither has seen, gives the figures that are reported and calibrates the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lightning.fabric import Fabric
from numpy.typing import NDArray

from fmtool.space import CROP_SHAPE
from training import encoders, evidence
from training.cohort.prepared import PreparedCohort
from training.evidence import sample, trust
from training.evidence.head import Head
from training.fit.data import ScanDataset
from training.fit.loop import Loop
from training.fit.settings import Settings
from training.runs.best import Best
from training.store.embed import embeddings
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

    Raises:
        InputError: for parts that are empty, too small, or without both classes.
        Stopped: after SIGTERM, once a checkpoint is written.
    """
    best = Best(recipe, validation, folder, fabric.is_global_zero)
    scans = ScanDataset(training.entries, training.labels.tolist())
    loop = Loop(fabric, recipe, scans, settings, folder, resume)
    loop.run(best)
    fabric.barrier()
    epoch = best.restore(loop.record)
    recipe.network.eval()
    predictions = recipe.predict(test.entries)
    weight, bias = recipe.affine()
    encoder = recipe.network.get_submodule("encoder")
    found = _evidence(recipe, training, test, predictions, settings.seed)
    # Calibrated by the test part: the epoch was chosen by the validation part's errors, which are
    # therefore too small.
    x = embeddings(encoder, test.entries, folder / "embeddings", recipe.input_shape)
    limits, found["trust"] = trust.split(x.astype(np.float64), test, weight, bias, settings.seed)
    digest, whom = encoders.digest(encoder), sample.describe(training)
    head = Head(recipe.task, weight, bias, found, digest, whom, limits)
    return Trained(head, predictions, epoch)


def _evidence(
    recipe: Supervised,
    training: PreparedCohort,
    test: PreparedCohort,
    predictions: NDArray[np.float64],
    seed: int,
) -> dict[str, Any]:
    """The test part's figures, and what the training labels' mean achieves on it."""
    mean = np.full((1, len(test.rows)), training.labels.mean())
    found = evidence.against_mean(test, predictions[None], mean, seed)
    tested = sample.describe(test)
    return {
        **found,
        **tested,
        "sample": sample.sentence(tested, recipe.task),
        "how": "held-out test",
        "input_shape": list(recipe.input_shape or CROP_SHAPE),
        "baseline_name": "chance" if recipe.task.kind == "binary" else "mean of the training part",
    }
