"""Which part of the body is named, by names before the header's own field."""

from __future__ import annotations

import pytest

from runtime.scan.dicom.about import About
from runtime.scan.dicom.body import elsewhere


@pytest.mark.parametrize(
    ("names", "body", "other"),
    [
        (("t1_mprage",), "", False),
        (("t1_mprage",), "head", False),
        (("t1_mprage",), "brain", False),
        (("t1_mprage",), "headneck", False),
        (("t1_mprage",), "skull", False),
        (("t1_mprage",), "undefined", False),
        (("t1_mprage_hippocampus",), "", False),
        (("t1_mprage_brain",), "cspine", False),  # registered for another examination
        (("t1 head neck coil",), "", False),
        (("t1_mprage",), "cspine", True),
        (("t1_mprage",), "knee", True),
        (("t1_mprage",), "cervical spine", True),
        (("t1_tse_sag_c-spine",), "head", True),
        (("t1", "LWS lumbal".lower()), "", True),
        (("t1 sag neck",), "", True),
        (("t1_vibe_abdomen",), "", True),
    ],
)
def test_another_part_than_the_head(names, body, other):
    assert elsewhere(About(names=names, body=body)) is other
