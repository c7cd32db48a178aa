"""Every bit of a small bundle: as a folder none goes unseen, as a zip none changes the content."""

import zipfile
from collections import Counter

import pytest

from benchmarks.wrong_bytes import trial
from benchmarks.wrong_bytes.trial import CAUGHT, HARMLESS, MISSED, content, outcome

ALWAYS_CAUGHT = {
    "central CRC-32", "central name", "central offset", "central signature", "end directory size",
    "end signature", "local name", "local signature",
}  # fmt: skip
"""Fields without which the files cannot be found or checked."""


@pytest.fixture
def bundle(tmp_path):
    return trial.toy(tmp_path)


def test_as_a_folder_every_wrong_byte_is_caught(bundle):
    found = trial.folder(bundle, samples=10)
    assert set(found) == {*content(bundle)}
    assert {"manifest.json", "manifest.sha256"} <= set(found)
    for name, counts in found.items():
        assert counts == {CAUGHT: (bundle / name).stat().st_size}, name


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_as_a_zip_no_wrong_byte_changes_what_is_opened(bundle, tmp_path, method):
    packed = trial.packed(bundle, tmp_path / "toy.zip", method)
    before = packed.read_bytes()
    tried = trial.every_bit(len(before))[
        ::5
    ]  # all bits of the bytes in turn, in a fifth of the time
    found = trial.archive(packed, content(bundle), tried)
    assert sum(map(sum, (c.values() for c in found.values()))) == len(tried)
    for field, counts in found.items():
        assert set(counts) <= {CAUGHT, HARMLESS}, (field, counts)
    for field in ALWAYS_CAUGHT | ({"content"} if method == zipfile.ZIP_STORED else set()):
        assert set(found[field]) == {CAUGHT}, (field, found[field])
    assert packed.read_bytes() == before


def test_a_changed_content_would_be_called_missed(bundle, monkeypatch):
    right = content(bundle)
    assert outcome(bundle, right) == HARMLESS
    assert outcome(bundle, right | {"model.onnx": b"other"}) == MISSED


def test_a_flip_lasts_as_long_as_its_block(tmp_path):
    file = tmp_path / "x"
    file.write_bytes(b"abc")
    with trial.flipped(file, trial.Flip(1, 0x01)):
        assert file.read_bytes() == b"acc"[:1] + bytes([ord("b") ^ 1]) + b"c"
    assert file.read_bytes() == b"abc"


def test_each_byte_of_a_zip_has_its_field(bundle, tmp_path):
    packed = trial.packed(bundle, tmp_path / "toy.zip", zipfile.ZIP_STORED)
    found = Counter(trial.fields(packed))
    members = len(content(bundle))
    assert found["local signature"] == found["central signature"] == 4 * members
    assert found["content"] == sum(map(len, content(bundle).values()))
    assert found["end signature"] == 4
