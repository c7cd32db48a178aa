"""The angle of a pose, for every pose that a header can invent."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from runtime.quality import orientation


def turns():
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix = np.eye(3)[list(order)] * np.array(signs)
            if np.linalg.det(matrix) > 0:
                yield matrix


@pytest.mark.parametrize("nod", [-25.0, 0.0, 25.0])
def test_every_wrong_header_is_refused_and_the_right_one_is_not(nod):
    """Also of a head that nods by 25 degrees, more than any of those looked at."""
    pose = Rotation.from_euler("xyz", [nod, 5.0, -5.0], degrees=True).as_matrix()
    found = []
    for turn in turns():
        matrix = np.eye(4)
        matrix[:3, :3] = turn @ pose
        angle = orientation.measure(matrix)
        expected = np.degrees(Rotation.from_matrix(turn @ pose).magnitude())
        assert angle == pytest.approx(expected, abs=1e-4)
        found.append(orientation.check(angle, "").verdict)
    assert found.count("refuse") == 23
    assert found.count("ok") == 1


def test_a_shift_is_no_turn():
    matrix = np.eye(4)
    matrix[:3, 3] = [40.0, -20.0, 90.0]
    assert orientation.measure(matrix) == 0.0
