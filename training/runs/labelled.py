"""Training from labels, top to bottom: scans of three parts in, an encoder and its head out.

The training part sets the weights, the validation part chooses the epoch, and the test part, which
neither has seen, gives the figures that are reported and calibrates the head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from lightning.fabric import Fabric
from numpy.typing import NDArray

from fmtool.bundle.exposure import UNKNOWN, Exposure, Overlap
from fmtool.bundle.rivals import RIVALS
from fmtool.space import CROP_SHAPE
from runtime.report.rows import Record
from training import encoders, evidence
from training.cohort.exposure import exposure, overlap, refuse_labelled
from training.cohort.prepared import PreparedCohort, PreparedScan
from training.evidence import conformal, out_of_fold, sample, smoothed_scan, trust
from training.evidence.head import Head
from training.fit.data import ScanDataset
from training.fit.loop import Loop
from training.fit.settings import Settings
from training.joint import Joint
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
        predictions: (N,) of the test part: values, or logits of class 1; (N, K) of K logits.
        best_epoch: from 0.
        rows: the predictions for people, a row per scan; see `training.evidence.out_of_fold`.
    """

    head: Head
    predictions: NDArray[np.float64]
    best_epoch: int
    rows: list[Record]


@dataclass(frozen=True)
class LabelledParts:
    """A task's scans.

    Attributes:
        training: sets the weights.
        validation: chooses the epoch.
        test: is predicted once, at the end.
    """

    training: PreparedCohort
    validation: PreparedCohort
    test: PreparedCohort


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
    parts = LabelledParts(training, validation, test)
    seen, (tested,) = _whom([parts], seen)
    predictions, epoch = fit(fabric, recipe, training, validation, test, settings, folder, resume)
    return _judged(recipe, predictions, epoch, parts, settings, folder, seen, tested)


def train_jointly(
    fabric: Fabric,
    recipe: Joint,
    parts: Sequence[LabelledParts],
    settings: Settings,
    folder: Path,
    resume: bool = False,
    seen: Exposure = UNKNOWN,
) -> list[Trained]:
    """`train` of several tasks at once, a head each.

    Args:
        recipe: of the tasks.
        parts: of each task; nobody who trains or validates one task tests another.
    """
    seen, tested = _whom(parts, seen)
    scans = _labelled_by_all([part.training for part in parts])
    best = Best(recipe, [part.validation for part in parts], folder, fabric.is_global_zero)
    epoch = _loop(fabric, recipe, scans, best, settings, folder, resume)
    found = []
    for one, part, whom in zip(recipe.parts, parts, tested, strict=True):
        one.network.eval()
        predictions = one.predict(part.test.entries)
        found.append(_judged(one, predictions, epoch, part, settings, folder, seen, whom))
    return found


def _labelled_by_all(cohorts: Sequence[PreparedCohort]) -> ScanDataset:
    """Every scan that any task has a label of, once; its labels of all, NaN where there is none."""
    entries: dict[Any, PreparedScan] = {}
    labels: dict[Any, list[float]] = {}
    for column, cohort in enumerate(cohorts):
        for row, entry in zip(cohort.rows, cohort.entries, strict=True):
            key = row.image, row.line
            entries[key] = entry
            labels.setdefault(key, [float("nan")] * len(cohorts))[column] = float(row.label)
    return ScanDataset(list(entries.values()), [labels[key] for key in entries])


def _whom(parts: Sequence[LabelledParts], seen: Exposure) -> tuple[Exposure, list[Overlap]]:
    """Whose labels set the weights, in all; and whom of each test part, which has to be nobody."""
    for part in parts:
        for cohort in (part.training, part.validation):
            seen |= exposure(cohort, cohort.entries, labels=True)
    found = []
    for part in parts:
        found.append(overlap(seen, part.test, part.test.entries))
        refuse_labelled(found[-1], part.test, "the test part")
        evidence.check_enough(part.test, "the test part")
    return seen, found


def _judged(
    recipe: Supervised,
    predictions: NDArray[np.float64],
    epoch: int,
    parts: LabelledParts,
    settings: Settings,
    folder: Path,
    seen: Exposure,
    tested: Overlap,
) -> Trained:
    """The head of the best epoch, with its evidence and limits."""
    training, test = parts.training, parts.test
    weight, bias = recipe.affine()
    encoder = recipe.network.get_submodule("encoder")
    fixed = np.full(len(test.rows), evidence.constant(training))
    volume, offset = one_number(training.volumes_ml, training)
    others = {"brain_volume": conformal.said(test.volumes_ml[:, None], volume, offset)}
    smooth = _smoothed(training, test)
    if smooth is not None:
        others["smoothed_scan"] = smooth
    found = _evidence(recipe, test, predictions, fixed, others)
    found["exposure"] = tested.to_dict()
    # Calibrated by the test part: the epoch was chosen by the validation part's errors, which are
    # therefore too small.
    embedded = embeddings(encoder, test.entries, folder / "embeddings", recipe.input_shape)
    x, cells = embedded.astype(np.float64), encoders.describe(encoder).cell_count
    limits, found["trust"] = trust.split(x, test, weight, bias, settings.seed, cells)
    digest, whom = encoders.digest(encoder), sample.describe(training)
    head = Head.of(recipe.task, (weight, bias), found, digest, whom, limits, seen)
    once = np.zeros(len(test.rows), dtype=np.intp)
    rows = out_of_fold.rows(test, predictions[None], once, fixed, others, test.volumes_ml)
    return Trained(head, predictions, epoch, rows)


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
    epoch = _loop(fabric, recipe, scans, best, settings, folder, resume)
    return recipe.predict(test.entries), epoch


def _loop(
    fabric: Fabric,
    recipe: Supervised | Joint,
    scans: ScanDataset,
    best: Best,
    settings: Settings,
    folder: Path,
    resume: bool,
) -> int:
    """Train, and put the best epoch back; its number."""
    loop = Loop(fabric, recipe, scans, settings, folder, resume)
    loop.run(best)
    fabric.barrier()
    epoch = best.restore(loop.record)
    recipe.network.eval()
    return epoch


def _evidence(
    recipe: Supervised,
    test: PreparedCohort,
    predictions: NDArray[np.float64],
    fixed: NDArray[np.float64],
    others: Mapping[str, NDArray[np.float64]],
) -> dict[str, Any]:
    """The test part's figures, and what the training part's baselines achieve on it."""
    found = evidence.against_constant(test, predictions[None], fixed[None])
    for name in RIVALS:
        rival = others.get(name)
        rivals = None if rival is None else rival[None]
        found[name] = evidence.against_rival(test, predictions[None], rivals)
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
    """(N,): what the training part's linear model of the smoothed scan says of the test part."""
    both = replace(training, rows=[*training.rows, *test.rows])
    train, tested = np.split(np.arange(len(both.rows)), [len(training.rows)])
    found = smoothed_scan.out_of_fold(
        gram([*training.entries, *test.entries]), both, [[(train, tested)]]
    )
    return None if found is None else found[0, tested]
