"""Every head, undisturbed and perturbed, through the pipeline and the network of a bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.robustness import head as seen
from benchmarks.robustness import stages
from benchmarks.robustness.perturbations import Perturbation
from benchmarks.shared import heads
from fmtool.bundle import Bundle
from fmtool.errors import FmtoolError
from fmtool.task import Task
from runtime import scan as scans
from runtime import trust
from runtime.engines.base import Arrays
from runtime.predict import Predictor
from runtime.trust import classes, multiclass, ordinal


@dataclass(frozen=True)
class Output:
    """One task.

    Attributes:
        task: its name.
        unit: of what is watched: the task's, or "probability" of a binary task's second class, of
            the class that a multiclass task's cohort has most of, or of the upper half of an
            ordinal task's classes.
        error: how far the head was off in cross-validation, in that unit: a regression's mean
            absolute error; of a binary task the mean distance of the calibrated out-of-fold
            probability from 0 or 1. None where the bundle does not hold it.
        calibrator: from logits to the probability; None of a regression.
    """

    task: str
    unit: str
    error: float | None
    calibrator: Callable[[Any], float] | None = None

    def value(self, found: Arrays) -> float:
        """What a network's outputs say."""
        raw = found[self.task][0].astype(np.float64)
        given = raw if len(raw) > 1 else float(raw[0])
        return float(given) if self.calibrator is None else self.calibrator(given)


def outputs_of(bundle: Bundle) -> list[Output]:
    """The outputs of a bundle."""
    known = trust.read(bundle)
    found = []
    for name, task in bundle.tasks.items():
        if task.kind == "binary":
            found.append(_binary(name, known.get(name)))
        elif task.kind == "ordinal":
            found.append(_ordinal(task, bundle.thresholds(name) or (), known.get(name)))
        elif task.kind == "multiclass":
            found.append(_multiclass(task, known.get(name)))
        else:
            evidence = bundle.evidence(name)
            error = evidence.get("value") if evidence.get("metric") == "MAE" else None
            found.append(Output(name, str(task.unit), error))
    return found


def _binary(name: str, known: trust.Trust | None) -> Output:
    probability = known.probability if known else None
    if known is None or probability is None or known.labels is None:
        return Output(name, "probability", None, probability or classes.Platt(1.0, 0.0))
    chances = np.array([probability(logit) for logit in known.folds.score])
    error = np.average(np.abs(chances - known.labels), weights=known.folds.mass)
    return Output(name, "probability", float(error), probability)


def _multiclass(task: Task, known: trust.Trust | None) -> Output:
    plain = multiclass.Softmax(1.0, np.zeros(task.outputs))
    softmax: Any = known.probabilities if known and known.probabilities else plain
    watched = 0
    if known is not None and known.labels is not None:
        watched = int(np.bincount(known.labels.astype(int), known.folds.mass).argmax())
    return Output(task.name, "probability", None, lambda z: float(softmax(z)[watched]))


def _ordinal(task: Task, thresholds: Sequence[float], known: trust.Trust | None) -> Output:
    chances: Any = known.probabilities if known else None
    given = chances or ordinal.Cumulative(1.0, np.asarray(thresholds, dtype=np.float64))
    upper = (task.logits + 1) // 2
    return Output(task.name, "probability", None, lambda z: float(given(z)[upper:].sum()))


def distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Between two embeddings."""
    return float(np.linalg.norm(one.astype(np.float64) - other))


STRIPPED = "cohort"
"""The set of `benchmarks.shared.heads` whose heads come skull-stripped."""


@dataclass
class HeadOutputs:
    """One head, one way to see it.

    Attributes:
        head: its label.
        name: the perturbation's; empty of the undisturbed head.
        values: by task, in the unit of its `Output`.
        embedding: (features,); empty where the scan was refused.
        brain_volume_ml: what the pipeline found.
        refused: why the pipeline refused it; empty where it answered.
        warned: names of the checks that warn of it, "novelty" where it is unlike a head's cohort;
            None where the checks were not asked.
    """

    head: str
    name: str
    values: dict[str, float] = field(default_factory=dict)
    embedding: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    brain_volume_ml: float = float("nan")
    refused: str = ""
    warned: tuple[str, ...] | None = None


class HeadBench:
    """A bundle's outputs for heads; `predictor` is open."""

    def __init__(
        self, predictor: Predictor, outputs: list[Output], stripped: str = STRIPPED
    ) -> None:
        self.predictor = predictor
        self._stripped = stripped  # the name of the folder of heads without a skull
        self.outputs = outputs
        manifest = predictor.bundle.manifest
        self._cohorts = [
            (one.novelty, manifest.columns(manifest.encoder_of(task)))
            for task, one in trust.read(predictor.bundle).items()
            if one.novelty is not None
        ]

    def rows(
        self, path: Path, perturbations: tuple[Perturbation, ...], tools: bool = True
    ) -> Iterator[HeadOutputs]:
        """The undisturbed head first, then each perturbation and, with `tools`, each other tool."""
        label, stripped = heads.label(path), path.parent.name == self._stripped
        head = seen.of(scans.read(path), stripped)
        base = self._seen(head, np.eye(4))
        brain = base.prepared.brain
        yield self._row(label, "", base)
        for one in perturbations:
            if one.whole and stripped:
                continue
            try:
                yield self._row(label, one.name, self._seen(one.of(head, brain), np.eye(4)))
            except FmtoolError as error:
                yield HeadOutputs(label, one.name, refused=str(error))
        if tools and not stripped:
            for name, volume, mask in stages.replaced(base, self.predictor.template):
                values, embedding = self._answer(volume, mask)
                yield HeadOutputs(label, name, values, embedding)

    def by_stage(
        self, path: Path, perturbations: tuple[Perturbation, ...]
    ) -> Iterator[tuple[str, HeadOutputs]]:
        """Of each perturbation the parts that `stages.substituted` gives, by the stage's name.

        First the undisturbed head, as "base", and then of each perturbation also the "whole".
        """
        label = heads.label(path)
        head = seen.of(scans.read(path), path.parent.name == self._stripped)
        base = self._seen(head, np.eye(4))
        yield "base", self._row(label, "", base)
        for one in perturbations:
            other = self._seen(one.of(head, base.prepared.brain), one.pose(head))
            yield "whole", self._row(label, one.name, other)
            for stage, (volume, mask) in stages.substituted(base, other):
                yield stage, HeadOutputs(label, one.name, *self._answer(volume, mask))

    def _seen(self, head: seen.PerturbedHead, pose: NDArray[np.float64]) -> stages.PreparedHead:
        ready = self.predictor.prepare(head.scan())
        warned = tuple(check.name for check in ready.checks if check.verdict != "ok")
        return stages.PreparedHead(head, ready.prepared, pose, warned)

    def _row(self, label: str, name: str, found: stages.PreparedHead) -> HeadOutputs:
        values, embedding = self._answer(found.prepared.volume, found.prepared.mask)
        unlike = any(one.unusual(one.p_value(embedding[own])) for one, own in self._cohorts)
        warned = (*found.warned, "novelty") if unlike else found.warned
        volume_ml = found.prepared.facts["brain_volume_ml"]
        return HeadOutputs(label, name, values, embedding, volume_ml, warned=warned)

    def _answer(
        self, volume: NDArray[np.float32], mask: NDArray[np.bool_]
    ) -> tuple[dict[str, float], NDArray[np.float32]]:
        inputs = {"volume": volume, "mask": mask}
        batch = {k: np.ascontiguousarray(v, np.float32)[None, None] for k, v in inputs.items()}
        found = self.predictor.engine.run(batch)
        encoders = self.predictor.bundle.manifest.encoders
        embedding = np.concatenate([found[encoder.embedding][0] for encoder in encoders])
        return {o.task: o.value(found) for o in self.outputs}, embedding
