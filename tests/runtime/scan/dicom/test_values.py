"""A value that cannot be converted is no value, whatever its conversion raises."""

from __future__ import annotations

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from runtime.scan.dicom import values

SEQUENCE = "PerFrameFunctionalGroupsSequence"
GROUPS, SPACING = 0x5200_9230, 0x0028_0030


def holding(tag: int, kind: str, content: bytes) -> Dataset:
    raw = RawDataElement(Tag(tag), kind, len(content), content, 0, False, True)
    return Dataset({raw.tag: raw})


@pytest.mark.parametrize("content", [b"\xfe\xff", b"\0"])
def test_a_sequence_that_is_cut_off(content: bytes) -> None:
    assert values.items(holding(GROUPS, "SQ", content), SEQUENCE) == []


@pytest.mark.parametrize("content", [b"1\\", b"a\\b", b"nan\\1", b"1e999\\1", b"1\\2\\3", b"\xff"])
def test_numbers_that_are_none(content: bytes) -> None:
    assert values.numbers(holding(SPACING, "DS", content), "PixelSpacing", 2) is None


@pytest.mark.parametrize(
    ("kind", "content"), [("US", b"\0\1\2"), ("OO", b"12"), ("SQ", b"\xfe\xff\x00\xe0\0\0\0\0")]
)
def test_words_of_a_value_that_is_malformed_unknown_or_a_sequence(
    kind: str, content: bytes
) -> None:
    assert values.words(holding(SPACING, kind, content), "PixelSpacing") == ()


def test_a_sequence_whose_element_is_cut_off_in_its_length() -> None:
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + b"\x28\0\x30\0OB\0\0\1"
    assert values.items(holding(GROUPS, "SQ", item), SEQUENCE) == []


def test_a_good_value() -> None:
    assert values.numbers(holding(SPACING, "DS", b"1.5\\2 "), "PixelSpacing", 2) == (1.5, 2.0)
