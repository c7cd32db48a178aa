"""Content digests: bytes count, names and places do not."""

from __future__ import annotations

import hashlib
import os
import shutil

import pytest

from runtime.ledger.content import content_digest, stat_digest


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "series"
    (made / "deep").mkdir(parents=True)
    (made / "1.dcm").write_bytes(b"one")
    (made / "deep" / "2.dcm").write_bytes(b"two")
    return made


def test_a_file_is_its_sha256(folder):
    assert content_digest(folder / "1.dcm") == hashlib.sha256(b"one").hexdigest()


def test_a_folder_is_its_files_whatever_they_are_called(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(folder / "1.dcm", other / "b")
    shutil.copy(folder / "deep" / "2.dcm", other / "a")
    assert content_digest(other) == content_digest(folder)
    assert content_digest((other / "a", other / "b")) == content_digest(folder)
    (other / "c").write_bytes(b"three")
    assert content_digest(other) != content_digest(folder)


def test_turboprep_s_two_files_are_one_scan_however_they_are_named(tmp_path):
    volume = tmp_path / "normalized.nii.gz"
    volume.write_bytes(b"volume")
    alone = content_digest(volume)
    (tmp_path / "mask.nii.gz").write_bytes(b"mask")
    (tmp_path / "preprocess.json").write_bytes(b"{}")
    assert content_digest(tmp_path) == content_digest(volume) != alone


def test_the_stat_changes_with_the_file(folder):
    before = stat_digest(folder)
    assert stat_digest(folder) == before
    os.utime(folder / "deep" / "2.dcm", ns=(1, 1))
    assert stat_digest(folder) != before


def test_what_is_not_there_raises(tmp_path):
    for digest in (content_digest, stat_digest):
        with pytest.raises(FileNotFoundError):
            digest(tmp_path / "absent")
