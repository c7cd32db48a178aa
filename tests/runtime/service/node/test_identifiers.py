"""Objects of which a parser makes a kilobyte of every eight bytes: counted past, or refused."""

from __future__ import annotations

import struct
import tracemalloc
from io import BytesIO

import pytest

pytest.importorskip("pynetdicom", reason="needs fmtool[dicom]")

from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from fmtool.errors import InputError
from runtime.documents import source
from runtime.service.node.identifiers import NotAnObject, identifiers
from runtime.service.node.metered import BeyondLimit, Budget, ConnectionMeter
from runtime.service.node.policy import Policy

ITEM, END = struct.pack("<HHL", 0xFFFE, 0xE000, 0), struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
OPEN = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
CLOSE = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)


def encoded(ds, implicit):
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = implicit, True
    write_dataset(stream, ds)
    return stream.getvalue()


def sequence(tag, implicit, items, vr=b"SQ"):
    """A sequence of undefined length."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    return head + (b"" if implicit else vr + bytes(2)) + b"\xff" * 4 + items + END


def spliced(data, tag, extra, implicit):
    """An object with `extra` in the place where `tag` belongs."""
    at = 0
    while at + 8 <= len(data):
        group, number = struct.unpack_from("<HH", data, at)
        if group << 16 | number > tag:
            break
        long = not implicit and data[at + 4 : at + 6] in (b"OB", b"OW", b"SQ", b"UN", b"UT")
        if implicit:
            at += 8 + struct.unpack_from("<L", data, at + 4)[0]
        else:
            at += (
                12 + struct.unpack_from("<L", data, at + 8)[0]
                if long
                else (8 + struct.unpack_from("<H", data, at + 6)[0])
            )
    return data[:at] + extra + data[at:]


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("tag", [0x00080006, 0x00081110, 0x00090010, 0x00101002, 0x00189999])
def test_a_bomb_of_items_is_counted_past(kit, tag, implicit):
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    (ds,) = kit.objects(1, syntax=syntax)
    plain = encoded(ds, implicit)
    wanted = identifiers(plain, implicit)
    assert wanted["SeriesInstanceUID"] == ds.SeriesInstanceUID
    assert wanted["PatientID"] == ds.PatientID
    for bomb in (
        sequence(tag, implicit, ITEM * 100_000),
        sequence(tag, implicit, (OPEN + CLOSE) * 50_000, b"UN"),
        sequence(tag, implicit, OPEN + sequence(tag, implicit, ITEM * 50_000) + CLOSE),
    ):
        data = spliced(plain, tag, bomb, implicit)
        tracemalloc.start()
        assert identifiers(data, implicit) == wanted
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1 << 20


def test_sequences_within_sequences_without_end_are_no_object():
    deep = (
        sequence(0x00081110, True, b"")[:-8] + (OPEN + sequence(0x00081110, True, b"")[:-8]) * 500
    )
    with pytest.raises(NotAnObject):
        identifiers(deep, True)


@pytest.mark.parametrize("cut", range(0, 210, 7))
def test_what_is_cut_off_is_no_object(kit, cut):
    (ds,) = kit.objects(1)
    data = encoded(ds, False)
    end = data.index(ds.SeriesInstanceUID.encode()) + len(ds.SeriesInstanceUID)
    with pytest.raises(NotAnObject):
        identifiers(data[: end - 1 - cut], False)


def test_a_value_longer_than_any_identifier_is_no_object(kit):
    (ds,) = kit.objects(1, PatientID="9" * 5000)
    with pytest.raises(NotAnObject):
        identifiers(encoded(ds, False), False)


def test_a_bomb_on_disk_is_refused_in_the_process_that_makes_documents(kit, tmp_path):
    (ds,) = kit.objects(1)
    stream = BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    whole = stream.getvalue()
    body = encoded(ds, False)
    head = whole[: len(whole) - len(body)]
    bomb = sequence(0x00081110, False, ITEM * 150_000)
    (tmp_path / "1.dcm").write_bytes(head + spliced(body, 0x00081110, bomb, False))
    with pytest.raises(InputError, match="larger than any"):
        source.read(tmp_path)
    (tmp_path / "1.dcm").write_bytes(whole)
    assert source.read(tmp_path).first.PatientName == kit.planted


def test_messages_that_nobody_waits_for_are_counted_as_memory():
    meter = ConnectionMeter(Policy(allow=("A",)), Budget(1 << 30), lambda why: None)
    for _ in range(33):
        meter.read(struct.pack(">BBL", 4, 0, 70) + bytes(70))
        meter.arrived()
    assert meter.memory > 33 * (16 << 10)
    with pytest.raises(BeyondLimit, match="without waiting"):
        meter.read(struct.pack(">BBL", 4, 0, 70) + bytes(70))


def test_a_command_set_like_a_data_set_ends_its_association(run_node, kit):
    with run_node(settle_s=60.0) as node:
        with kit.calling(node) as assoc:
            element = struct.pack("<HHL", 0, 0x5000, 0)
            value = element * 4000
            pdv = struct.pack(">LBB", 2 + len(value), 1, 1) + value
            assoc.dul.socket.socket.sendall(struct.pack(">BBL", 4, 0, len(pdv)) + pdv)
            kit.until(lambda: assoc.is_aborted, 6.0)
        assert node.wait("connection_ended")[0]["why"] == "a message cannot be decoded"
        assert kit.send(node, kit.objects(1)) == [0]
