"""A neck beyond the field of view, and a face removed: the brain is untouched by both."""

import numpy as np
import pytest

from benchmarks.robustness import intensity


def test_without_a_neck_the_landmark_stays(whole, landmark):
    head, brain = whole
    found = intensity.beheaded(head, brain)
    cut = head.array.shape[2] - found.array.shape[2]
    lowest = np.flatnonzero(brain.any(axis=(0, 1)))[0]
    assert (lowest - cut) * head.spacing[2] == pytest.approx(intensity.NECK_MM, abs=2.0)
    assert landmark(found) == pytest.approx(landmark(head), abs=1e-3)


def test_a_removed_face_takes_no_brain(whole, places):
    head, brain = whole
    found = intensity.defaced(head, brain)
    gone = (found.array == 0.0) & (head.array > 1.0)
    assert gone.any()
    assert np.array_equal(found.array[brain], head.array[brain])
    where = places(head)[gone]
    assert where[:, 1].min() > intensity.FRONT_MM - 2.0
    assert (where[:, 2] < 0.35 * where[:, 1]).all()
