"""Messages: what is read is what was written, and what lies about its size costs nothing."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fmtool.errors import InputError
from runtime.service.mrd import wire
from runtime.service.mrd.wire import IMAGE_HEADER, NUMBERS, Tag


def head(**fields):
    made = np.zeros((), IMAGE_HEADER)[()]
    made["data_type"], made["channels"], made["matrix_size"] = 5, 1, (4, 3, 2)
    for name, value in fields.items():
        made[name] = value
    return made


def parsed(data, allow=lambda size: None):
    stream = io.BytesIO(data)
    found = []
    while (message := wire.read(stream.read, allow)) is not None:
        found.append(message)
    return found


@pytest.mark.parametrize("dtype", NUMBERS.values(), ids=lambda dtype: dtype.name)
def test_an_image_of_any_number_type_comes_back_as_it_was(dtype):
    data = np.arange(24).reshape(1, 2, 3, 4).astype(dtype)
    message = wire.image_message(head(slice=7), b"<ismrmrdMeta></ismrmrdMeta>", data)
    (again,) = parsed(message.wire)
    found = wire.image(again)
    assert np.array_equal(found.data, data)
    assert found.data.dtype == dtype
    assert found.attributes == b"<ismrmrdMeta></ismrmrdMeta>"
    assert (int(found.head["slice"]), int(found.head["attribute_string_len"])) == (7, 27)


def test_an_image_is_as_large_as_the_standard_says():
    data = np.zeros((1, 2, 3, 4), np.int32)  # type 4 is of four bytes
    message = wire.image_message(head(), b"", data)
    assert IMAGE_HEADER.itemsize == 198
    assert len(message.body) == 198 + 8 + 24 * 4


def test_what_the_library_writes_is_read_and_the_other_way_round():
    ismrmrd = pytest.importorskip("ismrmrd", reason="the mrd extra is absent")
    from ismrmrd.serialization import ProtocolDeserializer, ProtocolSerializer

    data = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    image = ismrmrd.Image.from_array(data, image_index=3, read_dir=(0, 1, 0))
    image.meta = {"ImageRowDir": ["0", "1", "0"]}
    stream = io.BytesIO()
    writer = ProtocolSerializer(stream)
    for item in (image, "a text", ismrmrd.serialization.ConfigFile("openrecon")):
        writer.serialize(item)
    writer.close()
    found = parsed(stream.getvalue())
    assert [m.kind for m in found] == [
        Tag.IMAGE,
        Tag.TEXT,
        Tag.CONFIG_FILE,
        Tag.CLOSE,
    ]
    came = wire.image(found[0])
    assert np.array_equal(came.data[0], data)
    assert came.head["read_dir"].tolist() == [0, 1, 0]

    ours = io.BytesIO(b"".join(message.wire for message in found))
    back, text, _ = ProtocolDeserializer(ours).deserialize()
    assert np.array_equal(back.data[0], data)
    assert back.meta == image.meta
    assert text == "a text"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1008, "raw k-space"),
        (1010, "deprecated message"),
        (1021, "deprecated message"),
        (7777, "unknown number 7777"),
        (0, "unknown number 0"),
    ],
)
def test_what_is_not_taken_is_said(number, said):
    with pytest.raises(InputError, match=said):
        parsed(struct.pack("<H", number) + bytes(400))


@pytest.mark.parametrize(
    "lie",
    [
        struct.pack("<HI", 5, 2**32 - 1),
        struct.pack("<HI", 3, 2**32 - 1),
        struct.pack("<H", 1022) + head(matrix_size=(65535, 65535, 65535)).tobytes(),
        struct.pack("<H", 1022) + head(matrix_size=(0, 1, 1)).tobytes() + bytes(8),
        struct.pack("<H", 1022) + head(channels=0).tobytes() + bytes(8),
        struct.pack("<H", 1022) + head(data_type=9).tobytes() + bytes(8),
        struct.pack("<H", 1022) + head().tobytes() + struct.pack("<Q", 2**63),
        struct.pack("<H", 1026) + b"\0" * 28 + b"\xff" * 4 + b"\0" * 8,
    ],
)
def test_a_size_that_lies_is_refused_before_it_is_read(lie):
    asked = []
    with pytest.raises(InputError):
        parsed(lie, asked.append)
    assert sum(asked) < 1024


@pytest.mark.parametrize("cut", [1, 3, 100, 203, 208, 250])
def test_half_a_message_is_told_from_the_end_of_a_stream(cut):
    whole = wire.image_message(head(), b"", np.zeros((1, 2, 3, 4), np.float32)).wire
    assert parsed(b"") == []
    with pytest.raises(wire.CutOff):
        parsed(whole[:cut])


def test_a_text_ends_in_a_null_that_is_not_part_of_it():
    message = wire.text_message("a text")
    assert message.body.endswith(b"\0")
    assert wire.text_of(message) == b"a text"


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_whatever_comes_is_messages_or_a_sentence(data):
    try:
        found = parsed(data)
    except InputError:
        return
    assert b"".join(message.wire for message in found) == data
