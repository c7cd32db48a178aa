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
        ({"MRAcquisitionType": "2D"}, "original"),
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
    assert "T1-weighted by an inversion time of 900 ms, acquired in 3D" in got.facts["warnings"][0]


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


def test_of_two_that_are_equal_the_later_acquired_with_a_warning(make):
    add(make, 3, AcquisitionTime="120000")
    add(make, 5, AcquisitionTime="110000")
    got = scan.read(make.folder)
    assert got.facts["series"]["number"] == 3
    assert any("suit equally well; series 3 was taken" in w for w in got.facts["warnings"])


def test_of_two_at_one_time_the_larger_number(make):
    add(make, 3)
    add(make, 5)
    assert chosen(make) == 5


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


@pytest.mark.parametrize("name", ["t1_mprage without contrast", "t1 pre", "t1 non-contrast"])
def test_a_name_that_denies_contrast(make, name):
    add(make, 3, SeriesDescription=name)
    assert scan.read(make.folder).facts["warnings"] == []


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
