"""Hostile sources: refused, or read without what is hostile, in bounded time and memory."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from contextlib import contextmanager

import numpy as np
import pydicom
import pytest
from pydicom import uid

from fmtool.errors import InputError
from runtime import scan
from runtime.scan.dicom import find, limits, parse
from runtime.scan.dicom.found import Item

PIXELS = b"\xe0\x7f\x10\x00"
GROUPS = b"\x00\x52\x30\x92"  # PerFrameFunctionalGroupsSequence
DICOM = bytes(128) + b"DICM"


def archive(path, files, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return path


def files(make):
    return {path.name: path.read_bytes() for path in sorted(make.folder.iterdir())}


def refused(path, said, **asked):
    with pytest.raises(InputError) as caught:
        scan.read(path, **asked)
    assert said in str(caught.value), caught.value
    assert "\n" not in str(caught.value)


def test_a_zip_packed_with_lzma_is_not_unpacked(make, tmp_path):
    make.slices()
    held = files(make)
    refused(archive(tmp_path / "a.zip", held, zipfile.ZIP_LZMA), "18 unreadable")


def before_pixels(raw, extra):
    at = raw.index(PIXELS)
    return raw[:at] + extra + raw[at:]


def sequence(body, undefined):
    length = b"\xff\xff\xff\xff" if undefined else struct.pack("<I", len(body))
    return GROUPS + b"SQ\0\0" + length + body + (b"\xfe\xff\xdd\xe0" + bytes(4)) * undefined


def one_changed(make, change):
    """A series with its last slice in place changed; what reading the folder leaves out."""
    make.slices(np.ones((20, 24, 18), np.int16) * np.arange(18, dtype=np.int16))
    path = next(p for p in make.folder.iterdir() if p.name.endswith("_017.dcm"))
    path.write_bytes(change(path.read_bytes()))
    return scan.read(make.folder).facts["files"]["left_out"]


@pytest.mark.parametrize("undefined", [True, False])
def test_a_header_of_too_many_sequence_items(make, undefined, monkeypatch):
    monkeypatch.setattr(parse, "MAX_SEQUENCE_ITEMS", 3000)
    body = (b"\xfe\xff\x00\xe0" + bytes(4)) * 20_000
    left = one_changed(make, lambda raw: before_pixels(raw, sequence(body, undefined)))
    assert left == {"too large": 1}


@pytest.mark.parametrize("shift", range(0, 8, 2))
def test_a_limit_reached_at_the_start_of_an_item_is_still_a_limit(make, monkeypatch, shift):
    """pydicom makes an OSError of whatever is raised there: a damaged file, for all one knows."""
    monkeypatch.setattr(parse, "MAX_SEQUENCE_ITEMS", 100)
    make.slices()
    path = sorted(make.folder.iterdir())[0]
    raw = path.read_bytes()
    pad = b"\x11\x00\x10\x00LO" + struct.pack("<H", 2 + shift) + b" " * (2 + shift)
    items = sequence((b"\xfe\xff\x00\xe0" + bytes(4)) * 20_000, True)
    path.write_bytes(before_pixels(raw, pad + items))
    item = Item(path.stat().st_size, lambda: path.open("rb"))
    with pytest.raises(parse.ExcessError):
        parse.header(item, ["Rows"], limits.Deadline("it"))


@pytest.mark.parametrize("reads", range(100, 108))
def test_time_that_is_up_at_the_start_of_an_item(make, reads):
    make.slices()
    path = sorted(make.folder.iterdir())[0]
    body = (b"\xfe\xff\x00\xe0" + bytes(4)) * 1000
    path.write_bytes(before_pixels(path.read_bytes(), sequence(body, True)))
    left = iter(range(reads))

    class Deadline:
        def check(self):
            if next(left, None) is None:
                raise InputError("it was given up")

    item = Item(path.stat().st_size, lambda: path.open("rb"))
    with pytest.raises(InputError, match="given up"):
        parse.header(item, ["Rows"], Deadline())


def test_a_header_larger_than_any(make, monkeypatch):
    monkeypatch.setattr(parse, "MAX_HEADER_BYTES", 1 << 18)
    private = b"\x09\x00\x10\x10OB\0\0" + struct.pack("<I", 1 << 20) + bytes(1 << 20)
    body = b"\xfe\xff\x00\xe0" + b"\xff" * 4 + private
    left = one_changed(make, lambda raw: before_pixels(raw, sequence(body, True)))
    assert left == {"too large": 1}


def test_a_sequence_nested_without_end(make):
    nest = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + GROUPS + b"SQ\0\0\xff\xff\xff\xff"
    left = one_changed(make, lambda raw: before_pixels(raw, sequence(nest * 5000, True)))
    assert left == {"damaged": 1}


def test_private_elements_of_every_kind_change_nothing(make):
    private = b"\x09\x00\x10\x00LO\x08\x00PLANTED \x09\x00\x10\x10OB\0\0" + struct.pack("<I", 4096)
    assert one_changed(make, lambda raw: before_pixels(raw, private + bytes(4096))) == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw[:400],
        lambda raw: raw[:132] + os.urandom(3000),
        lambda raw: raw[:300] + b"\xff" * 200 + raw[500:],
        lambda raw: raw[:140],
        lambda raw: DICOM,
    ],
)
def test_a_damaged_file_is_counted_and_told_of(make, change):
    assert one_changed(make, change) == {"damaged": 1}


def test_claims_of_gigabytes_are_not_believed(make):
    make.slices()
    for path in make.folder.iterdir():
        raw = bytearray(path.read_bytes())
        at = raw.index(PIXELS) + 8
        raw[at : at + 4] = struct.pack("<I", 0x7FFFFF00)
        path.write_bytes(raw)
    refused(make.folder, "a slice promises 2147483392 bytes of voxels, 960 are there")


@pytest.mark.parametrize(
    "values", [{"Rows": 65535, "Columns": 65535}, {"NumberOfFrames": 2**30}, {"Rows": 0}]
)
def test_impossible_sizes_are_refused_before_anything_is_allocated(make, values):
    make.slices(edit=lambda data, k: [setattr(data, n, v) for n, v in values.items()])
    refused(make.folder, "holds no DICOM file that can be used (18 ")


def test_a_file_far_larger_than_its_voxels(make):
    make.slices()
    with sorted(make.folder.iterdir())[0].open("r+b") as stream:
        stream.truncate(300 << 20)  # sparse
    refused(make.folder, "far more than its voxels take")


def test_a_file_over_the_limit_is_not_opened(make):
    make.slices()
    with (make.folder / "big.dcm").open("wb") as stream:
        stream.write(DICOM)
        stream.truncate(2 << 30)  # sparse
    assert scan.read(make.folder).facts["files"]["left_out"] == {"too large": 1}


def test_a_deflated_bomb(make):
    make.slices(syntax=uid.DeflatedExplicitVRLittleEndian)
    path = sorted(make.folder.iterdir())[0]
    raw, meta = path.read_bytes(), pydicom.dcmread(path).file_meta
    start = 132 + 12 + meta.FileMetaInformationGroupLength
    inner = zlib.decompressobj(-15).decompress(raw[start:])
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    extra = GROUPS + b"OB\0\0" + struct.pack("<I", 400 << 20)
    packed = packer.compress(inner[: inner.index(PIXELS)] + extra)
    packed += b"".join(packer.compress(bytes(1 << 20)) for _ in range(400)) + packer.flush()
    path.write_bytes(raw[:start] + packed)
    with pytest.raises(InputError):
        scan.read(make.folder)


def test_too_many_files(make, monkeypatch):
    monkeypatch.setattr(find, "MAX_FILES", 17)
    make.slices()
    refused(make.folder, "more than 17 files")
    monkeypatch.undo()
    monkeypatch.setattr("runtime.scan.dicom.unzip.MAX_FILES", 17)
    refused(archive(make.folder / "a.zip", files(make)), "holds 18 files; at most 17")


@pytest.mark.slow
def test_ten_thousand_tiny_files(make):
    make.slices()
    for k in range(10_000):
        (make.folder / f"tiny{k}").write_bytes(DICOM if k % 2 else b"x")
    left = scan.read(make.folder).facts["files"]["left_out"]
    assert left == {"damaged": 5000, "not DICOM": 5000}


def test_time_is_bounded(make, monkeypatch):
    make.slices()
    monkeypatch.setattr(limits, "MAX_SECONDS", -1.0)
    refused(make.folder, "was given up")


def test_links_pipes_and_index_files(make, tmp_path):
    stored = make.slices()
    (make.folder / "sub").mkdir()
    inside = sorted(p for p in make.folder.iterdir() if p.is_file())[0]
    moved = inside.rename(make.folder / "sub" / "moved")
    inside.symlink_to(moved)  # within the folder: followed, and found to be a copy
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.dcm").write_bytes(moved.read_bytes())
    (make.folder / "out.dcm").symlink_to(outside / "secret.dcm")
    (make.folder / "outdir").symlink_to(outside)
    (make.folder / "loop").symlink_to(make.folder)
    (make.folder / "broken").symlink_to(tmp_path / "nowhere")
    os.mkfifo(make.folder / "pipe")
    data = pydicom.dcmread(moved)
    data.file_meta.MediaStorageSOPClassUID = uid.MediaStorageDirectoryStorage
    data.save_as(make.folder / "DICOMDIR")
    got = scan.read(make.folder)
    np.testing.assert_array_equal(got.array, stored[::-1, ::-1])
    assert got.facts["files"]["left_out"] == {
        "links out of the folder": 4,
        "pipes, sockets or devices": 1,
        "copies": 1,
        "DICOMDIR": 1,
    }


def test_a_pipe_named_as_the_scan_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.dcm")
    refused(tmp_path / "pipe.dcm", "not a file")


def test_names_in_a_zip_lead_nowhere(make, tmp_path):
    make.slices()
    held = {f"../../up/{name}": data for name, data in files(make).items()}
    held |= {"/etc/absolute.dcm": DICOM, "C:\\windows\\x.dcm": b"x", "..": b"x", "a/": b""}
    before = set(tmp_path.rglob("*"))
    path = archive(tmp_path / "s.zip", held)
    assert scan.read(path).facts["files"]["dicom"] == 19
    assert set(tmp_path.rglob("*")) - before == {path}
    assert not (tmp_path.parent / "up").exists()


def test_a_link_and_a_zip_within_a_zip_are_not_followed(make, tmp_path):
    make.slices()
    path = archive(tmp_path / "s.zip", files(make))
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as nested:
        nested.writestr("x.dcm", DICOM)
    with zipfile.ZipFile(path, "a") as more:
        link = zipfile.ZipInfo("link.dcm")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        more.writestr(link, "/etc/passwd")
        more.writestr("inner.zip", inner.getvalue())
    left = scan.read(path).facts["files"]["left_out"]
    assert left == {"links out of the folder": 1, "archives inside": 1}
    refused(archive(tmp_path / "n.zip", {"inner.zip": inner.getvalue()}), "1 archives inside")


def test_an_encrypted_zip(make, tmp_path):
    make.slices()
    raw = bytearray(archive(tmp_path / "s.zip", files(make)).read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(mark) + offset] |= 1
    (tmp_path / "s.zip").write_bytes(raw)
    refused(tmp_path / "s.zip", "is encrypted")


@contextmanager
def claiming(path, size):
    """A zip whose list of contents gives its first entry this size."""
    raw = bytearray(path.read_bytes())
    at = raw.index(b"PK\x01\x02") + 24
    raw[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(raw)
    yield path


def test_a_zip_bomb(make, tmp_path, monkeypatch):
    make.slices()
    bomb = {"bomb.dcm": DICOM + bytes(64 << 20)}
    with claiming(archive(tmp_path / "one.zip", files(make) | bomb), 0xFFFFFFF0):
        pass
    monkeypatch.setattr("runtime.scan.dicom.unzip.ZIP_RATIO_FROM_BYTES", 32 << 20)
    refused(archive(tmp_path / "ratio.zip", bomb), "more than 100 times itself")
    monkeypatch.undo()
    many = {f"{n}.dcm": b"x" for n in range(9)}
    path = archive(tmp_path / "total.zip", many)
    raw = path.read_bytes().replace(
        struct.pack("<II", 3, 1) + b"\5\0", struct.pack("<II", 3, 0x3FFFFFFF) + b"\5\0"
    )
    at, claimed = 0, bytearray(raw)
    while (at := claimed.find(b"PK\x01\x02", at)) >= 0:
        claimed[at + 24 : at + 28] = struct.pack("<I", 0x3FFFFFFF)
        at += 4
    path.write_bytes(claimed)
    refused(path, "claims 9663676407 bytes unpacked")


def test_an_entry_larger_than_its_claim_gives_no_more_than_that(make, tmp_path):
    make.slices()
    held = {"a.dcm": DICOM + bytes(8 << 20)} | files(make)
    with claiming(archive(tmp_path / "s.zip", held), 200) as path:
        got = scan.read(path)
    assert got.facts["files"]["left_out"] in ({"damaged": 1}, {"unreadable": 1})


def test_a_zip_whose_list_of_contents_is_endless(tmp_path):
    size = limits.MAX_ZIP_DIRECTORY_BYTES + 1000
    end = b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 9, 9, size, 0, 0)
    (tmp_path / "s.zip").write_bytes(b"PK\x03\x04" + bytes(size - 4) + end)
    refused(tmp_path / "s.zip", "lists more files than are read")


def test_a_damaged_zip(make, tmp_path):
    make.slices()
    whole = archive(tmp_path / "s.zip", files(make)).read_bytes()
    (tmp_path / "s.zip").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "s.zip", "not a whole zip archive")
    (tmp_path / "s.zip").write_bytes(b"PK\5\6" + bytes(18))
    refused(tmp_path / "s.zip", "DICOM files")


def test_an_entry_of_the_chosen_series_that_does_not_unpack(make, tmp_path):
    make.slices(np.random.default_rng(1).integers(0, 900, (200, 240, 18)).astype(np.int16))
    raw = bytearray(archive(tmp_path / "s.zip", files(make)).read_bytes())
    at = raw.index(b"PK\x03\x04", 5000) - 3000  # within the first entry's pixels
    raw[at : at + 500] = bytes(500)
    (tmp_path / "s.zip").write_bytes(raw)
    refused(tmp_path / "s.zip", "is damaged: slice ")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2])
def test_other_ways_to_pack(make, tmp_path, method):
    stored = make.slices()
    got = scan.read(archive(tmp_path / "s.zip", files(make), method))
    np.testing.assert_array_equal(got.array, stored[::-1, ::-1])


def changed(raw, rng):
    """Up to 20 bytes changed anywhere behind the first 132."""
    raw = bytearray(raw)
    for _ in range(int(rng.integers(1, 20))):
        raw[int(rng.integers(132, len(raw)))] = int(rng.integers(256))
    return raw


def outcome(path, asked):
    """The complaint, or None; anything but an InputError fails the test."""
    try:
        scan.read(path, series=asked)
    except InputError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    "turns", [40, pytest.param(1000, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_random_damage_never_raises_anything_else(make, tmp_path, turns):
    rng = np.random.default_rng(turns)
    make.slices()
    make.enhanced(SeriesNumber=4)
    sources = [p.read_bytes() for p in sorted(make.folder.iterdir())[:2]]
    sources.append((make.folder / "enhanced.dcm").read_bytes())
    packed = archive(tmp_path / "w.zip", files(make)).read_bytes()
    for turn in range(turns):
        (tmp_path / "x.dcm").write_bytes(changed(sources[turn % len(sources)], rng))
        (tmp_path / "x.zip").write_bytes(changed(packed, rng))
        for name in ("x.dcm", "x.zip")[: 1 + (turn % 8 == 0)]:
            said = outcome(tmp_path / name, (None, "3", "4")[turn % 3])
            assert said is None or "\n" not in said


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packed_bytes_that_no_unpacker_takes(make, tmp_path, method):
    make.slices()
    path = tmp_path / "study.zip"
    archive(path, {"1.dcm": min(make.folder.iterdir()).read_bytes()}, method)
    packed = bytearray(path.read_bytes())
    packed[40:80] = b"\xff" * 40
    path.write_bytes(packed)
    with pytest.raises(InputError, match="unreadable"):
        scan.read(path)


def test_an_entry_without_a_name(tmp_path):
    path = tmp_path / "study.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(zipfile.ZipInfo("x"), b"not DICOM")
    packed = path.read_bytes()
    listed = packed.index(b"PK\x01\x02")
    nameless = bytearray(packed[:listed] + packed[listed : listed + 46] + packed[listed + 47 :])
    nameless[listed + 28 : listed + 30] = bytes(2)
    end = nameless.index(b"PK\x05\x06")
    nameless[end + 12 : end + 16] = struct.pack("<I", end - listed)
    path.write_bytes(nameless)
    with pytest.raises(InputError):
        scan.read(path)
