"""Which series is read: by parameters, by names, and said with its reason."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import uid

from fmtool.errors import InputError
from runtime import scan

T2 = {"ScanningSequence": "SE", "EchoTime": 95, "RepetitionTime": 4000, "SeriesDescription": "tse"}
SPOILED = {"ScanningSequence": "GR", "RepetitionTime": 8.1, "EchoTime": 3.1, "InversionTime": None}


def add(make, number, **values):
    make.slices(name=f"n{number}", SeriesNumber=number, **values)


def chosen(make, **asked):
    return scan.read(make.folder, **asked).facts["series"]["number"]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (T2, "an echo time of 95 ms"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "it is a localizer"),
        ({"SeriesDescription": "AAHScout"}, "it is a localizer"),
        ({"ImageType": ["DERIVED", "PRIMARY", "MIP"]}, "it is a projection"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "P"]}, "it is a phase map"),
        ({"ScanningSequence": "EP"}, "it is echo-planar"),
        ({"SeriesDescription": "TOF_3D", "ProtocolName": ""}, "its name is that of another"),
        ({"Modality": "CT"}, "it is CT"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "it is no MR image"),
        ({"ContrastBolusAgent": "Gadavist"}, "with a contrast agent"),
        ({"SeriesDescription": "t1_mprage_POST"}, "with a contrast agent"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, "derived or reformatted"),
        ({"MRAcquisitionType": "2D"}, "not said to be acquired in 3D"),
        ({"BodyPartExamined": "KNEE"}, "another part of the body"),
        ({"SeriesDescription": "t1 c-spine", "BodyPartExamined": "HEAD"}, "another part of the"),
        ({"SeriesDescription": "t1_vibe_dixon_opp"}, "its name is that of an opposed-phase image"),
        (
            SPOILED | {"RepetitionTime": 2300, "SeriesDescription": "x", "ScanningSequence": "RM"},
            "does not say how it is weighted",
        ),
    ],
)
def test_what_is_ranked_below_a_mprage_or_left_alone(make, values, why):
    add(make, 9, **values)  # the later number, which would win a tie
    add(make, 3)
    got = scan.read(make.folder)
    assert got.facts["series"]["number"] == 3
    (other,) = got.facts["other_series"]
    assert other["number"] == 9
    assert why in other["why_not"]
    assert "T1-weighted by an inversion time of 900 ms, " in got.facts["warnings"][0]
    assert "acquired in 3D, original" in got.facts["warnings"][0]


@pytest.mark.parametrize(
    "values",
    [
        SPOILED,
        SPOILED | {"SeriesDescription": "sag 3d"},
        {"InversionTime": None, "EchoTime": None, "RepetitionTime": None},
        {"ScanningSequence": "SE", "RepetitionTime": 550, "EchoTime": 12, "InversionTime": None},
    ],
)
def test_other_t1_weightings_than_mprage(make, values):
    add(make, 4, **values)
    assert not scan.read(make.folder).facts["warnings"]


def test_the_finer_of_two(make):
    add(make, 3)
    make.spacing = (1.1, 0.9, 2.6)
    add(make, 5)
    assert chosen(make) == 3


@pytest.mark.parametrize(
    ("three", "five", "taken", "why"),
    [
        ("110000", "120000", 3, "series 5 was acquired later"),
        ("120000", "110000", 5, "series 3 was acquired later"),
        ("110000", "110000.00", 3, "series 5 comes later by its number"),
        ("11:00:00", "110000", 3, "series 5 comes later by its number"),
        ("110000", None, 3, "series 5 comes later by its number"),
        (None, None, 3, "series 5 comes later by its number"),
    ],
)
def test_of_two_that_are_equal_the_earlier_with_a_reason_that_is_so(make, three, five, taken, why):
    add(make, 3, AcquisitionTime=three)
    add(make, 5, AcquisitionTime=five)
    got = scan.read(make.folder)
    assert got.facts["series"]["number"] == taken
    assert any(f"suit equally well; series {taken} was taken: {why}" in w
               for w in got.facts["warnings"])  # fmt: skip
    assert got.facts["other_series"][0]["why_not"] == "it suits as well, but " + why[9:]


def test_a_series_that_says_nothing_is_read_with_a_warning(make):
    absent = dict.fromkeys(
        ("ScanningSequence", "RepetitionTime", "EchoTime", "InversionTime", "MRAcquisitionType")
    )
    add(make, 3, SeriesDescription="head", **absent)
    assert "Nothing in series 3's header says" in scan.read(make.folder).facts["warnings"][0]


def test_a_contrast_agent_is_read_with_a_warning_if_there_is_nothing_else(make):
    add(make, 3, ContrastBolusAgent="Gadavist")
    assert "with a contrast agent" in scan.read(make.folder).facts["warnings"][0]
    assert "Gadavist" not in str(scan.read(make.folder).facts)


@pytest.mark.parametrize(
    ("values", "given"),
    [
        ({"SeriesDescription": "t1 POST", "ProtocolName": "MRI W WO CONTRAST"}, True),
        ({"SeriesDescription": "t1 PRE", "ContrastBolusAgent": "Gadovist"}, False),
        ({"SeriesDescription": "t1 PRE", "ProtocolName": "brain with contrast"}, False),
        ({"SeriesDescription": "t1", "ProtocolName": "W WO CONTRAST"}, False),
        ({"SeriesDescription": "t1", "ProtocolName": "t1 +GAD"}, True),
        ({"SeriesDescription": "t1", "ContrastBolusAgent": "NONE"}, False),
        ({"SeriesDescription": "t1", "ContrastBolusVolume": 7.5}, True),
        ({"SeriesDescription": "t1", "ContrastBolusVolume": 0}, False),
        ({"SeriesDescription": "t1 POST-OP"}, False),
    ],
)
@pytest.mark.parametrize("kind", ["slices", "enhanced"])
def test_the_description_decides_whether_an_agent_was_given(make, kind, values, given):
    getattr(make, kind)(SeriesNumber=3, **values)
    warnings = scan.read(make.folder).facts["warnings"]
    assert warnings == ["Series 3 was taken with a contrast agent, which the models have not seen."
                        ] * given  # fmt: skip


WHOLE = np.ones((100, 100, 100), np.int16) * np.arange(100, dtype=np.int16)


def test_coverage_of_the_head_comes_before_contrast_3d_and_original(make):
    make.spacing = (1.6, 1.6, 1.6)
    make.slices(WHOLE, name="whole", SeriesNumber=3, MRAcquisitionType="2D",
                ImageType=["DERIVED", "SECONDARY", "MPR"], ContrastBolusAgent="x")  # fmt: skip
    make.slices(WHOLE[..., :50], name="slab", SeriesNumber=4)
    make.slices(WHOLE[..., :65], name="most", SeriesNumber=5)
    got = scan.read(make.folder)
    assert got.facts["series"]["number"] == 3
    said = {other["number"]: other["why_not"] for other in got.facts["other_series"]}
    assert "80 mm along its shortest side" in said[4]
    assert "104 mm along its shortest side" in said[5]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"ImageType": ["DERIVED", "PRIMARY", "M", "DIS3D"]}, {}),  # "ND"
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "DIS3D"]},
         {"ImageType": ["ORIGINAL", "PRIMARY", "M", "DIS2D"]}),
        ({"SeriesDescription": "MEMPRAGE_4e RMS", "ImageType": ["DERIVED", "PRIMARY", "OTHER"]},
         {"SeriesDescription": "MEMPRAGE_4e", "EchoTime": 1.6}),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MEAN"]}, {"EchoTime": 1.6}),
        ({"EchoTime": 1.69}, {"EchoTime": 3.55}),
        ({"EchoTime": 2.9800001}, {"EchoTime": 2.98, "AcquisitionTime": "235959"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("swapped", [False, True])
def test_of_one_head_in_several_forms(make, better, worse, swapped):
    first, second = (4, 9) if swapped else (9, 4)
    add(make, first, **better)
    add(make, second, **worse)
    assert chosen(make) == first


NAMES = {"ProtocolName": "t1_mp2rage_sag_p3", "InversionTime": 2500}
IMAGES = {
    "INV1": ({"InversionTime": 700}, ["ORIGINAL", "PRIMARY", "M", "ND"]),
    "INV2": ({}, ["ORIGINAL", "PRIMARY", "M", "ND"]),
    "UNI_Images": ({}, ["DERIVED", "PRIMARY", "M", "ND", "UNI"]),
    "UNI-DEN": ({}, ["DERIVED", "PRIMARY", "M", "ND", "UNI"]),
    "T1_Images": ({}, ["DERIVED", "PRIMARY", "T1 MAP", "ND"]),
}


@pytest.mark.parametrize("described", [True, False])
def test_of_an_mp2rage_the_denoised_uniform_image_else_the_uniform_one_with_a_remark(
    make, described
):
    for number, (name, (values, kind)) in enumerate(reversed(IMAGES.items()), 2):
        name = f"t1_mp2rage_sag_p3_{name}" if described or "DEN" in name else ""
        add(make, number, SeriesDescription=name, ImageType=kind, **NAMES | values)
    got = scan.read(make.folder)
    assert got.facts["series"]["number"] == 3  # UNI-DEN
    assert not any("noise" in warning for warning in got.facts["warnings"])
    for path in make.folder.glob("n3*"):
        path.unlink()
    got = scan.read(make.folder)
    assert got.facts["series"]["number"] == 4
    assert any("background is noise" in warning for warning in got.facts["warnings"])
    for path in make.folder.glob("n4*"):
        path.unlink()
    with pytest.raises(InputError, match="no series that can be"):
        scan.read(make.folder)


@pytest.mark.parametrize("kind", ["slices", "enhanced"])
def test_a_series_without_identifiers_is_read(make, kind):
    def strip(data, k=0):
        for keyword in ("PatientID", "SeriesInstanceUID", "Modality", "SeriesDate", "StudyDate"):
            delattr(data, keyword)

    getattr(make, kind)(SeriesNumber=3, AcquisitionTime=None, edit=strip)
    add(make, 4, **T2)
    assert chosen(make) == 3


def test_series_asked_for_by_number_uid_and_id(make):
    add(make, 3)
    add(make, 5, SeriesInstanceUID="1.2.3.4.5", **T2)
    for word in ("5", "1.2.3.4.5"):
        got = scan.read(make.folder, series=word)
        assert got.facts["series"]["number"] == 5
        assert "would not have been chosen: an echo time of 95 ms" in str(got.facts["warnings"])
    assert chosen(make, series=got.facts["series"]["id"]) == 5
    assert chosen(make, series="3") == 3


def test_a_series_that_is_not_there_lists_those_that_are(make):
    add(make, 3)
    add(make, 5)
    with pytest.raises(InputError) as caught:
        scan.read(make.folder, series="7")
    said = str(caught.value)
    assert "series 3 (id " in said
    assert "MR, 20 x 24 x 18)" in said
    assert "series 5" in said


def test_a_number_that_two_series_have(make):
    make.slices(name="a")
    make.slices(name="b")
    with pytest.raises(InputError, match="2 series of that number"):
        scan.read(make.folder, series="3")


def test_nothing_that_suits_lists_why(make):
    add(make, 3, **T2)
    with pytest.raises(InputError, match=r"series 3 .*: an echo time of 95 ms .*--series"):
        scan.read(make.folder)


@pytest.mark.parametrize(
    ("keyword", "what"), [("PatientID", "patients"), ("StudyInstanceUID", "studies")]
)
def test_two_patients_or_studies_are_never_chosen_between(make, keyword, what):
    add(make, 3)
    add(make, 5, **{keyword: uid.generate_uid()})
    with pytest.raises(InputError, match=f"2 {what}"):
        scan.read(make.folder)
    assert chosen(make, series="3") == 3


def test_pixels_of_other_series_are_never_read(make):
    stored = make.slices()
    make.slices(name="b", SeriesNumber=8, **T2)
    for path in make.folder.glob("b*"):
        path.write_bytes(path.read_bytes()[:-900])  # not enough pixels to be decoded
    np.testing.assert_array_equal(scan.read(make.folder).array, stored[::-1, ::-1])


def test_reports_and_presentation_states_are_listed_as_no_images(make):
    add(make, 3)
    add(make, 8, Modality="SR", edit=lambda d, k: [delattr(d, n) for n in ("Rows", "PixelData")])
    (other,) = scan.read(make.folder).facts["other_series"]
    assert other["why_not"] == "it holds no images"
    with pytest.raises(InputError, match="no images"):
        scan.read(make.folder, series="8")
