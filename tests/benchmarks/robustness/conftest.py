"""A synthetic head: an ellipsoid brain in a scalp, with a landmark, on an anisotropic grid."""

import numpy as np
import pytest

from benchmarks.robustness.head import PerturbedHead

LANDMARK = np.array([21.0, -13.0, 9.0])
"""RAS mm: the centre of a Gaussian blob of 5 mm, the brightest point."""


def _affine(spacing=(1.5, 2.0, 2.0), shape=(90, 80, 76)):
    """An axis-aligned grid about the origin of RAS."""
    found = np.diag([*spacing, 1.0])
    found[:3, 3] = -(np.array(shape) - 1) / 2.0 * spacing
    return found


def _places(head):
    """(x, y, z, 3) RAS mm of every voxel."""
    index = np.stack(np.indices(head.array.shape), axis=-1)
    return index @ head.affine[:3, :3].T + head.affine[:3, 3]


def _phantom(stripped=False, shape=(90, 80, 76)):
    """The head and its brain: 100 inside, the blob on it, a scalp of 60 around a dark skull."""
    head = PerturbedHead(np.zeros(shape, np.float32), _affine(shape=shape))
    where = _places(head)
    radius = np.sqrt(((where / [50.0, 58.0, 48.0]) ** 2).sum(axis=-1))
    # Edges as soft as a scanner shows them: no interpolation can keep a jump.
    inside = np.clip((1.0 - radius) * 10.0 + 0.5, 0.0, 1.0)
    scalp = np.exp(-(((radius - 1.22) / 0.05) ** 2))
    blob = np.exp(-((where - LANDMARK) ** 2).sum(axis=-1) / (2 * 5.0**2))
    brain = inside > 0.5
    array = 100.0 * inside + 80.0 * blob + (0.0 if stripped else 60.0) * scalp
    if stripped:
        array[~brain] = 0.0
    return PerturbedHead(array.astype(np.float32), head.affine, brain if stripped else None), brain


def _landmark(head):
    """RAS mm of the blob: the centroid of what rises above the brain's 100."""
    weight = np.maximum(head.array - 110.0, 0.0)
    return (_places(head) * weight[..., None]).sum(axis=(0, 1, 2)) / weight.sum()


@pytest.fixture(scope="session")
def whole():
    """The head, and its brain (bool)."""
    return _phantom()


@pytest.fixture(scope="session")
def stripped():
    """The head without its scalp, and its brain."""
    return _phantom(stripped=True)


@pytest.fixture(scope="session")
def places():
    return _places


@pytest.fixture(scope="session")
def landmark():
    """Where a head shows the blob, RAS mm."""
    return _landmark
