"""The shape of a cohort's embeddings: standardised, with Ledoit and Wolf's shrunk covariance.

The covariance is kept by its largest eigenvectors and the average of the rest, which keeps a bundle
small and no subject's embedding in it. The distances are of subjects left out, one by one or in
`GROUPS` groups, from everything that is fitted: mean, scale, shrinkage and axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from runtime.trust.novelty import Novelty, Shape, margins
from training.evidence.evaluate import Array, masses

RANK = 32
"""The most eigenvectors that are kept."""

GROUPS = 50
"""The most times that the shape is fitted anew to leave subjects out."""

_NOISE = 1e-12  # of the largest variance: a direction with less is rounding

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
    values, axes, total = _shrunk(weighted, min(rank, x.shape[1] - 1, len(x) - 1))
    rest = (total - values.sum()) / (x.shape[1] - len(values))
    return Shape(centre, scale, axes, 1 / values, 1 / rest)


def _shrunk(rows: Array, rank: int) -> tuple[Array, Array, float]:
    """Of rows' shrunk covariance: its largest values, their axes as rows, the sum of all values.

    By the products of rows with each other where they are fewer than the features, which have the
    same eigenvalues; (Ledoit and Wolf 2004, J. Multivariate Anal. 88) for the shrinkage.
    """
    count, features = rows.shape
    inner = rows @ rows.T / count
    total = float(np.trace(inner))
    mean = total / features
    spread = float((inner**2).sum()) / features
    noise = (float((np.diag(inner) ** 2).sum()) / features * count - spread) / count
    off = spread - mean**2
    share = min(noise, off) / off if off > 0.0 else 0.0
    if features < count:
        values, vectors = np.linalg.eigh(rows.T @ rows / count)
        axes = vectors.T
    else:
        values, vectors = np.linalg.eigh(inner)
        length = np.sqrt(count * np.maximum(values, _NOISE * values[-1]))
        axes = (rows.T @ (vectors / length)).T
    largest = np.arange(len(values))[::-1][:rank]
    largest = largest[values[largest] > _NOISE * values[-1]]
    found = (1.0 - share) * values[largest] + share * mean
    return found, np.ascontiguousarray(axes[largest]), total


def fit(x: Array, subjects: Sequence[str], seed: int = 0, cells: int = 1) -> Novelty | None:
    """The shape of all scans, and the distance of each when its subject is left out.

    None where the subjects are too few, or all embeddings are the same.

    Args:
        x: (N, F) embeddings.
        subjects: of each row.
        seed: of the groups.
        cells: of a gridded encoder, in all.
    """
    x = margins(x, cells)
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
    return Novelty(whole, distances[ranked], mass[ranked], cells)
