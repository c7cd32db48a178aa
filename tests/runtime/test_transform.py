"""Rigid transforms and ITK's text file."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from runtime.transform import about, rotation, rotation_vector, to_itk

MATRIX = about(np.array([4.0, -20.0, 9.0]), np.array([0.4, -0.2, 0.1]), np.array([11.0, 2.0, -7.0]))
POINTS = np.random.default_rng(0).uniform(-80.0, 80.0, size=(20, 3))


def moved(points: np.ndarray) -> np.ndarray:
    return points @ MATRIX[:3, :3].T + MATRIX[:3, 3]


@pytest.mark.parametrize("vector", [(0.0, 0.0, 0.0), (0.5, 0.0, 0.0), (-1.0, 2.0, 0.3)])
def test_rotation_is_scipys(vector: tuple[float, float, float]) -> None:
    expected = Rotation.from_rotvec(vector).as_matrix()
    np.testing.assert_allclose(rotation(np.array(vector)), expected, atol=1e-12)


@pytest.mark.parametrize("vector", [(0.0, 0.0, 0.0), (1e-9, 0.0, 0.0), (0.5, -1.0, 2.0)])
def test_rotation_vector_undoes_rotation(vector: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(rotation_vector(rotation(np.array(vector))), vector, atol=1e-9)


def test_about_leaves_its_centre_but_for_the_shift() -> None:
    np.testing.assert_allclose(MATRIX @ [4.0, -20.0, 9.0, 1.0], [15.0, -18.0, 2.0, 1.0])


def test_simpleitk_reads_the_same_mapping(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    path = tmp_path / "t.txt"
    path.write_text(to_itk(MATRIX))
    transform = sitk.ReadTransform(str(path))
    flip = np.array([-1.0, -1.0, 1.0])  # ITK's points are LPS
    got = np.array([transform.TransformPoint(tuple(p)) for p in POINTS * flip]) * flip
    np.testing.assert_allclose(got, moved(POINTS), atol=1e-9)


def test_ants_reads_the_same_mapping(tmp_path: Path) -> None:
    ants = pytest.importorskip("ants")
    path = tmp_path / "t.txt"
    path.write_text(to_itk(MATRIX))
    transform = ants.read_transform(str(path))
    flip = np.array([-1.0, -1.0, 1.0])
    got = np.array([transform.apply_to_point(tuple(p)) for p in POINTS * flip]) * flip
    np.testing.assert_allclose(got, moved(POINTS), atol=1e-4)
