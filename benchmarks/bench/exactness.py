"""Each candidate's outputs against those of a float32 engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.bench import accuracy
from benchmarks.bench.candidates import Candidate
from benchmarks.bench.process import Worker
from benchmarks.bench.record import Record
from fmtool.bundle import Bundle
from runtime.engines.base import Arrays
from runtime.engines.choose import choose

_NOT_TOLD = "torch has random weights here"


def fill(
    pairs: Sequence[tuple[Worker, Record]], bundle: Bundle, volumes: Path, folder: Path
) -> str:
    """Compare and note; the reference is one of the candidates, or a process made for it.

    Args:
        pairs: the candidates.
        bundle: theirs.
        volumes: a file by `benchmarks.bench.inputs`.
        folder: for scratch files.

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
    for number, (worker, record) in enumerate(pairs):
        outputs = _outputs(worker, folder / f"{number}.npz")
        if record.candidate.is_peer and not record.opened["facts"]["weights_of_bundle"]:
            record.reasons["embedding_error"] = _NOT_TOLD
            continue
        record.accuracy = accuracy.compare(outputs, reference, bundle.tasks.values())
    return name


def _outputs(worker: Worker, path: Path) -> Arrays:
    worker.ask("outputs", path=str(path))
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}
