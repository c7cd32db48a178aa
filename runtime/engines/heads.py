"""A head's weight and bias, found by running the tail of a bundle's model on unit embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fmtool.bundle import Bundle
from fmtool.bundle.model_graph import EMBEDDING, ModelGraph
from fmtool.errors import BundleError
from runtime.engines import table
from runtime.engines.choose import choose
from runtime.engines.opening import open_file

_STEP = 1024.0  # a unit's share of the sum would be rounded by the bias
_LINEAR = 1e-4

Affine = tuple[NDArray[np.float64], float]
"""Weight (F,) and bias: a task's output as a function of the embedding."""


def affine(bundle: Bundle, tasks: Sequence[str]) -> dict[str, Affine]:
    """What the float32 model computes from the embedding, by task.

    Raises:
        BundleError: if the model is no encoder with linear heads.
        CapabilityError: if no engine is installed.
    """
    graph = ModelGraph.read(bundle.graph(), bundle.model())
    graph.cut(tasks)
    row = table.find(choose(device="cpu", precision="float32").engine, "cpu")
    assert row is not None
    features = bundle.manifest.encoder.features
    probe = np.random.default_rng(0).normal(size=features).astype(np.float32)
    given = np.concatenate([np.zeros((1, features)), _STEP * np.eye(features), probe[None]])
    with open_file(row, bytes(graph), "cpu", "float32") as engine:
        rows = [engine.run({EMBEDDING: g[None].astype(np.float32)}) for g in given]
    found = {}
    for task in tasks:
        values = np.array([float(r[task].ravel()[0]) for r in rows])
        weight, bias = (values[1:-1] - values[0]) / _STEP, float(values[0])
        scale = float(np.abs(weight) @ np.abs(probe)) + abs(bias)
        if not abs(weight @ probe + bias - values[-1]) <= _LINEAR * scale + _LINEAR:
            raise BundleError(f"the head of {task} in {bundle.path} is not linear")
        found[task] = weight, bias
    return found
