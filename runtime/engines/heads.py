"""A head's weight and bias, found by running the tail of a bundle's model on unit embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool.bundle import Bundle
from fmtool.bundle.encoder import EncoderFacts
from fmtool.bundle.model_graph import ModelGraph
from fmtool.errors import BundleError
from runtime.engines import table
from runtime.engines.choose import choose
from runtime.engines.opening import open_file

_STEP = 1024.0  # a unit's share of the sum would be rounded by the bias
_LINEAR = 1e-4
_ROWS = 256  # embeddings at a time

Array = NDArray[np.float64]

Affine = tuple[Array, Any]
"""Weight (F,) and bias, or (K, F) and (K,): a task's outputs as a function of the embedding."""


def affine(bundle: Bundle, tasks: Sequence[str]) -> dict[str, Affine]:
    """What the float32 model computes from a head's embedding, by task.

    Raises:
        BundleError: if the model is no encoder with linear heads.
        CapabilityError: if no engine is installed.
    """
    found: dict[str, Affine] = {}
    for encoder in bundle.manifest.encoders:
        own = [task for task in tasks if bundle.manifest.encoder_of(task) == encoder]
        if own:
            found |= _of_one(bundle, encoder, own)
    return {task: found[task] for task in tasks}


def _of_one(bundle: Bundle, encoder: EncoderFacts, tasks: Sequence[str]) -> dict[str, Affine]:
    """Of the heads that read one encoder."""
    graph = ModelGraph.read(bundle.graph(), bundle.model())
    graph.cut(tasks, encoder.embedding)
    row = table.find(choose(device="cpu", precision="float32").engine, "cpu")
    assert row is not None
    features = encoder.features
    probe = np.random.default_rng(0).normal(size=features).astype(np.float32)
    found: dict[str, Affine] = {}
    with open_file(row, bytes(graph), "cpu", "float32") as engine:
        ends = engine.run({encoder.embedding: np.stack([np.zeros_like(probe), probe])})
        steps: dict[str, list[Array]] = {task: [] for task in tasks}
        for first in range(0, features, _ROWS):  # a gridded encoder's unit embeddings fill GBs
            given = _STEP * np.eye(min(_ROWS, features - first), features, first, np.float32)
            for task, values in engine.run({encoder.embedding: given}).items():
                steps[task].append(values.astype(np.float64))
    for task in tasks:
        bias, wanted = ends[task].astype(np.float64)
        weight = (np.concatenate(steps[task]) - bias).T / _STEP
        scale = np.abs(weight) @ np.abs(probe) + np.abs(bias)
        if not (np.abs(weight @ probe + bias - wanted) <= _LINEAR * scale + _LINEAR).all():
            raise BundleError(f"the head of {task} in {bundle.path} is not linear")
        found[task] = (weight, bias) if len(bias) > 1 else (weight[0], float(bias[0]))
    return found
