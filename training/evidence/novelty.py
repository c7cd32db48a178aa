"""The shape of a cohort's embeddings: standardised, with Ledoit and Wolf's shrunk covariance.

The covariance is kept by its largest eigenvectors and the average of the rest, which keeps a bundle
small and no subject's embedding in it. The distances are of subjects left out, one by one or in
`GROUPS` groups, from everything that is fitted: mean, scale, shrinkage and axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.covariance import ledoit_wolf
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from runtime.trust.novelty import Novelty, Shape
from training.evidence.evaluate import Array, masses

RANK = 32
"""The most eigenvectors that are kept."""

GROUPS = 50
"""The most times that the shape is fitted anew to leave subjects out."""

FEWEST = 12
"""Subjects: the smallest p-value of fewer would say little, and so would their covariance."""


def shape(x: Array, mass: Array, rank: int = RANK) -> Shape:
    """The shape of a cohort.

    Args:
        x: (N, F) embeddings.
        mass: (N,) each subject's shared by its scans.
        rank: the most eigenvectors to keep.
    """
    centre = np.average(x, axis=0, weights=mass)
    spread = np.sqrt(np.average((x - centre) ** 2, axis=0, weights=mass))
    # A feature that hardly varies in the cohort keeps the median's scale: what was silent and
    # speaks is strange, but not infinitely so, and noise in it is not blown up.
    scale = np.maximum(spread, float(np.median(spread)) or float(spread.max()) or 1.0)
    weighted = (x - centre) / scale * np.sqrt(mass / mass.mean())[:, None]
    covariance, _ = ledoit_wolf(weighted, assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = min(rank, len(values) - 1, len(x) - 1)
    rest = float(np.mean(values[kept:]))
    return Shape(
        centre, scale, np.ascontiguousarray(vectors[:, :kept].T), 1 / values[:kept], 1 / rest
    )


def fit(x: Array, subjects: Sequence[str], seed: int = 0) -> Novelty | None:
    """The shape of all scans, and the distance of each when its subject is left out.

    None where the subjects are too few, or all embeddings are the same.

    Args:
        x: (N, F) embeddings.
        subjects: of each row.
        seed: of the groups.
    """
    mass, names = masses(subjects), np.asarray(subjects)
    if len(np.unique(names)) < FEWEST or not np.ptp(x, axis=0).any():
        return None
    order = np.random.default_rng(seed).permutation(np.unique(names))
    distances = np.empty(len(x))
    with threadpool_limits(1):
        for group in np.array_split(order, min(GROUPS, len(order))):
            out = np.isin(names, group)
            distances[out] = shape(x[~out], mass[~out])(x[out])
        whole = shape(x, mass)
    ranked = np.argsort(distances, kind="stable")
    return Novelty(whole, distances[ranked], mass[ranked])
