"""Each candidate's outputs against those of a float32 engine on the same volumes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench import inputs
from benchmarks.bench.candidates import Candidate
from benchmarks.bench.process import Worker
from benchmarks.bench.record import Record
from fmtool.bundle import Bundle
from fmtool.bundle.encoder import EMBEDDING
from fmtool.task import Task
from runtime.engines.base import Arrays
from runtime.engines.choose import choose
from runtime.trust.multiclass import log_softmax

_NOT_TOLD = "torch has random weights here"


def fill(
    pairs: Sequence[tuple[Worker, Record]], bundle: Bundle, volumes: Path, folder: Path
) -> str:
    """Compare and note; the reference is one of the candidates, or a process made for it.

    Args:
        volumes: a file by `benchmarks.bench.inputs`.

    Returns:
        The reference's name.
    """
    plain = [
        pair for pair in pairs if pair[1].precision == "float32" and not pair[1].candidate.is_peer
    ]
    if plain:
        worker, record = plain[-1]
        reference, name = _outputs(worker, folder / "reference.npz"), record.name
    else:
        choice = choose("auto", "cpu", "float32")
        name = f"{choice.engine} float32"
        spec = {"kind": "engine", "bundle": str(bundle.path), **vars(choice)}
        with Worker(Candidate(name, spec), str(volumes)) as worker:
            reference = _outputs(worker, folder / "reference.npz")
    embeddings = [encoder.embedding for encoder in bundle.manifest.encoders]
    for number, (worker, record) in enumerate(pairs):
        outputs = _outputs(worker, folder / f"{number}.npz")
        if record.candidate.is_peer and not record.opened["facts"]["weights_of_bundle"]:
            record.reasons["embedding_error"] = _NOT_TOLD
            continue
        record.accuracy = compare(outputs, reference, bundle.tasks.values(), embeddings)
    return name


def _outputs(worker: Worker, path: Path) -> Arrays:
    worker.ask("outputs", path=str(path))
    return inputs.load(path)


def compare(
    got: Arrays,
    reference: Arrays,
    tasks: Iterable[Task],
    embeddings: Sequence[str] = (EMBEDDING,),
) -> dict[str, float]:
    """The worst over the volumes; infinite where an output is not a finite number.

    Args:
        got: outputs by name, [N, F], [N, 1] or [N, K].
        reference: the same in float32.
        tasks: the bundle's.
        embeddings: its encoders' outputs; those that `got` has are compared.

    Returns:
        "embedding_error": ||a - b|| / ||b||; "TASK_shift": |a - b| in the task's unit, or in
        logits; "TASK_probability_shift" of a task of classes. A task that `got` lacks is left out.
    """
    found = (each for each in embeddings if each in got)
    errors = {"embedding_error": max(_distance(got[name], reference[name]) for name in found)}
    for task in tasks:
        if task.name not in got:
            continue
        a, b = (each[task.name].astype(np.float64) for each in (got, reference))
        errors[f"{task.name}_shift"] = _worst(np.abs(a - b))
        if task.kind == "binary":
            errors[f"{task.name}_probability_shift"] = _worst(np.abs(_sigmoid(a) - _sigmoid(b)))
        elif task.kind == "ordinal":  # as far as it can move what is beyond a threshold
            errors[f"{task.name}_probability_shift"] = _worst(np.tanh(np.abs(a - b) / 4))
        elif task.kind == "multiclass":
            shares = (np.exp(log_softmax(each)) for each in (a, b))
            errors[f"{task.name}_probability_shift"] = _worst(np.abs(np.subtract(*shares)))
    return errors


def _distance(got: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    a, b = got.astype(np.float64), wanted.astype(np.float64)
    return _worst(np.linalg.norm(a - b, axis=1) / np.linalg.norm(b, axis=1))


def _sigmoid(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logit)))


def _worst(values: NDArray[np.float64]) -> float:
    return float(values.max()) if np.isfinite(values).all() else float("inf")
