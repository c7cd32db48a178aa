"""T1-weighted or not, by parameters first and names second."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runtime.scan.dicom.about import About
from runtime.scan.dicom.weighting import shown

SILENT = About(
    "", "", (), "", frozenset(), "", None, None, None, None, False, "", 1, "MONOCHROME2", False
)
GR, SE = frozenset({"GR"}), frozenset({"SE"})


@pytest.mark.parametrize(
    ("values", "weighting"),
    [
        ({}, "unknown"),
        ({"sequence": GR, "echo": 2.98, "repetition": 2300, "inversion": 900}, "T1"),  # MPRAGE
        ({"sequence": GR, "echo": 3.2, "repetition": 8.2, "inversion": 450}, "T1"),  # BRAVO
        ({"sequence": GR, "echo": 3.7, "repetition": 8.1}, "T1"),  # TFE
        ({"sequence": SE, "echo": 10, "repetition": 500}, "T1"),
        ({"sequence": SE | {"IR"}, "echo": 9, "repetition": 2000, "inversion": 800}, "T1"),
        ({"sequence": SE, "echo": 95, "repetition": 4000}, "other"),
        ({"sequence": SE, "echo": 12, "repetition": 3000}, "other"),  # proton density
        ({"sequence": SE | {"IR"}, "echo": 120, "repetition": 9000, "inversion": 2500}, "other"),
        ({"sequence": GR, "echo": 20, "repetition": 28, "names": "swi"}, "other"),
        ({"sequence": GR, "echo": 3.4, "repetition": 21, "names": "tof_3d_multi-slab"}, "other"),
        ({"sequence": GR, "names": "t1_mprage_sag"}, "T1"),
        ({"names": "ax t1 flair"}, "T1"),
        ({"names": "ax t2 flair"}, "other"),
        ({"names": "t1 and t2", "echo": 100}, "other"),
        ({"names": "3d t1 tfe"}, "T1"),
        ({"names": "*tfl3d1_16ns"}, "T1"),
        ({"names": "ep2d_diff_mddw"}, "other"),
        ({"names": "mp2rage_inv1"}, "T1"),
        ({"contrast": "T1", "echo": 3}, "T1"),
        ({"contrast": "FLUID_ATTENUATED"}, "other"),
        ({"sequence": frozenset({"EP", "GR"}), "echo": 30}, "other"),
    ],
)
def test_weightings_of_common_protocols(values, weighting):
    assert shown(replace(SILENT, **values)).weighting == weighting


def test_the_reason_never_quotes_a_description():
    for name in ("t1 of Jane Doe", "t2 of Jane Doe"):
        assert "jane" not in shown(replace(SILENT, names=name.lower())).why.lower()
