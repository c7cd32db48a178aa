"""T1-weighted or not, by parameters first and names second."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runtime.scan.dicom.about import About
from runtime.scan.dicom.image_type import plain
from runtime.scan.dicom.weighting import shown

SILENT = About()
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
        ({"sequence": GR, "echo": 20, "repetition": 28, "names": ("swi",)}, "other"),
        ({"sequence": GR, "echo": 3.4, "repetition": 21, "names": ("tof_3d_multi-slab",)}, "other"),
        ({"sequence": GR, "names": ("t1_mprage_sag",)}, "T1"),
        ({"names": ("ax t1 flair",)}, "T1"),
        ({"names": ("ax t2 flair",)}, "other"),
        ({"names": ("t1 and t2",), "echo": 100}, "other"),
        ({"names": ("3d t1 tfe",)}, "T1"),
        ({"names": ("*tfl3d1_16ns",)}, "T1"),
        ({"names": ("ep2d_diff_mddw",)}, "other"),
        ({"names": ("mp2rage_inv1",)}, "other"),
        ({"contrast": "T1", "echo": 3}, "T1"),
        ({"contrast": "FLUID_ATTENUATED"}, "other"),
        ({"sequence": frozenset({"EP", "GR"}), "echo": 30}, "other"),
        ({"names": ("ax t2 flair", "t1_protocol")}, "other"),  # its own name decides
        ({"names": ("sag", "t1_mprage")}, "T1"),
        ({"names": ("", "", "*tfl3d1_16ns")}, "T1"),
        ({"names": ("mpr; gradwarp; b1 correction; n3 t1",)}, "T1"),
        ({"names": ("3d t1 ms protocol",)}, "T1"),
        ({"names": ("t1qa_mp2rage_uni_images",)}, "T1"),
        ({"names": ("unit1",)}, "T1"),
        ({"names": ("t1_mp2rage_uni_images",)}, "T1"),
        ({"names": ("t1_mp2rage_uni-den",), "inversion": 2500}, "T1"),
        ({"names": ("uni", "mp2rage")}, "T1"),
        ({"image_type": ("DERIVED", "PRIMARY", "T1", "UNIFORM"), "inversion": 2700}, "T1"),
        ({"names": ("t1_mp2rage",), "image_type": ("ORIGINAL",), "inversion": 700}, "other"),
        ({"names": ("t1_mp2rage",)}, "unknown"),
        ({"sequence": GR, "echo": 3, "repetition": 5000, "inversion": 2500}, "other"),
    ],
)
def test_weightings_of_common_protocols(values, weighting):
    assert shown(replace(SILENT, **values)).weighting == weighting


MPRAGE = {"sequence": GR | {"IR"}, "echo": 2.98, "repetition": 2300, "inversion": 900}
FAST = {"sequence": GR, "echo": 2.4, "repetition": 23.0}


@pytest.mark.parametrize(
    "name",
    [
        "t1_mp2rage_INV1", "t1_mp2rage_inv-2", "MP2RAGE_TI1", "second inversion", "t1_map",
        "T1-Map", "T1map", "T1 mapping", "mp2rage_T1_Images", "qT1", "R1_map", "MAP_T1", "T1 (ms)",
        "T1rho", "Carte T1", "tfl_b1map", "B1 map for T1", "B1+ map", "field_map t1", "t1_ciss",
        "FIESTA-C", "TrueFISP t1", "b-FFE", "bTFE", "FGATIR t1", "WMn-MPRAGE", "t1_vibe_dixon_opp",
        "T1 mDIXON OP", "OutPhase: LAVA", "t1 opposed phase", "t1_vibe_dixon_tra_F",
        "FAT: LAVA-Flex",
    ],
)  # fmt: skip
def test_what_is_never_t1_weighted_whatever_the_parameters(name):
    for at in ((name.lower(), "t1_protocol"), ("", name.lower())):
        assert shown(replace(SILENT, names=at, **MPRAGE)).weighting == "other"


@pytest.mark.parametrize(
    "kind",
    [
        "T1 MAP", "T1_MAP", "T1-Map", "T1MAP", "R1_MAP", "B1 MAP", "PHASE", "P_FFE", "I_IR",
        "IMAGINARY", "MAX_IP", "PROTON_DENSITY", "T2_STAR", "OPP_PHASE", "OP", "FAT", "INV1",
    ],
)  # fmt: skip
def test_image_types_of_all_vendors(kind):
    words = tuple(plain(word) for word in ("DERIVED", "PRIMARY", kind))
    assert shown(replace(SILENT, names=("t1",), image_type=words, **MPRAGE)).weighting == "other"


@pytest.mark.parametrize(
    "kind", ["M", "M_FFE", "T1", "NORM", "DIS3D", "OTHER", "IN_PHASE", "WATER"]
)
def test_image_types_that_a_t1_weighted_head_has(kind):
    words = tuple(plain(word) for word in ("ORIGINAL", "PRIMARY", kind))
    assert shown(replace(SILENT, image_type=words, **MPRAGE)).weighting == "T1"


@pytest.mark.parametrize(
    ("values", "weighting"),
    [
        ({"flip": 21.0}, "T1"),
        ({"flip": 6.0}, "other"),  # proton density of the same sequence
        ({"flip": 6.0, "names": ("t1w_mfc",)}, "T1"),
        ({"flip": 21.0, "names": ("pdw_mfc",)}, "other"),
        ({"flip": 50.0, "repetition": 6.9, "variant": frozenset({"SS", "OSP"})}, "other"),  # CISS
        ({"flip": 12.0, "repetition": 6.9, "variant": frozenset({"SS", "SP", "SK"})}, "T1"),  # SPGR
        ({"flip": 8.0, "repetition": 8.1}, "T1"),  # TFE
    ],
)
def test_fast_gradient_echoes(values, weighting):
    assert shown(replace(SILENT, **{**FAST, **values})).weighting == weighting


def test_the_reason_never_quotes_a_description():
    for name in ("t1 of Jane Doe", "t2 of Jane Doe"):
        assert "jane" not in shown(replace(SILENT, names=(name.lower(),))).why.lower()
