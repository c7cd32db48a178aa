"""The store prepares each scan once."""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from fmtool.errors import FmtoolError, InputError
from fmtool.files import sha256
from runtime import store as store_module
from runtime.store import Store, file_digests
from runtime.store.entry import MadeScan

SHAPE = (16, 18, 20)


class Preparer:
    """Stands in for the preprocessing pipeline, and counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, path):
        self.calls += 1
        rng = np.random.default_rng(len(path.read_bytes()))
        facts = {"brain_volume_ml": np.float32(1200.5), "registered": np.bool_(True)}
        return MadeScan(rng.random(SHAPE, dtype=np.float32), rng.random(SHAPE) < 0.5, facts)


def stored(store, path, prepare, *made_by):
    return store.get(path, made_by, lambda: prepare(path))


def scan_file(path, content="a scan"):
    path.write_text(content)
    return path


def kept(store):
    """All of a store but its lock."""
    return {path.name for path in store.iterdir()} - {".lock"}


def test_a_scan_is_prepared_once(tmp_path):
    prepare, scan = Preparer(), scan_file(tmp_path / "a.nii")
    first = stored(Store(tmp_path / "store"), scan, prepare, "bundle")
    again = stored(Store(tmp_path / "store"), scan, prepare, "bundle")
    volume, mask, facts = again.volume, again.mask, again.facts
    assert prepare.calls == 1
    assert isinstance(volume, np.memmap)
    assert (volume.dtype, mask.dtype) == (np.float32, np.bool_)
    np.testing.assert_array_equal(volume, prepare(scan).volume)
    np.testing.assert_array_equal(mask, first.mask)
    assert facts["brain_volume_ml"] == pytest.approx(1200.5)
    assert facts["registered"] is True
    assert facts["digest"] == first.facts["digest"]


def test_other_bytes_or_another_bundle_prepare_anew(tmp_path):
    prepare, folder = Preparer(), tmp_path / "store"
    digest = stored(Store(folder), scan_file(tmp_path / "a.nii"), prepare, "one").facts["digest"]
    stored(Store(folder), scan_file(tmp_path / "a.nii"), prepare, "two")
    assert prepare.calls == 2
    stored(Store(folder), scan_file(tmp_path / "moved.nii"), prepare, "one")
    assert prepare.calls == 2
    changed = stored(Store(folder), scan_file(tmp_path / "a.nii", "another scan"), prepare, "one")
    assert prepare.calls == 3
    assert changed.facts["digest"] != digest


@pytest.mark.parametrize("name", ["volume.npy", "mask.npy", "facts.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_entry_is_rebuilt_and_said_aloud(tmp_path, caplog, name, damage):
    prepare, scan, store = Preparer(), scan_file(tmp_path / "a.nii"), Store(tmp_path / "store")
    good = np.array(stored(store, scan, prepare).volume)
    file = next((tmp_path / "store").glob(f"*/{name}"))
    raw = file.read_bytes()
    if damage == "remove":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(raw[:20])
    else:
        file.write_bytes(b"\x00" + raw[1:])
    with caplog.at_level(logging.WARNING):
        entry = stored(store, scan, prepare)
    assert prepare.calls == 2
    assert "damaged" in caplog.text
    np.testing.assert_array_equal(entry.volume, good)
    assert kept(tmp_path / "store") == {entry.folder.name}


def test_a_changed_fact_is_damage_too(tmp_path, caplog):
    prepare, scan, store = Preparer(), scan_file(tmp_path / "a.nii"), Store(tmp_path / "store")
    facts = stored(store, scan, prepare).folder / "facts.json"
    facts.write_text(facts.read_text(encoding="utf-8").replace("1200.5", "1200.6"))
    assert stored(store, scan, prepare).facts["brain_volume_ml"] == 1200.5
    assert "its facts have changed" in caplog.text


@pytest.fixture
def settled(monkeypatch):
    """All files count as written long ago, so that their digests are remembered at once."""
    monkeypatch.setattr(file_digests, "_SETTLED", -1)


def test_verified_bytes_are_trusted_until_their_file_changes(tmp_path, monkeypatch, settled):
    read = []
    monkeypatch.setattr(file_digests, "sha256", lambda path: read.append(path.name) or sha256(path))
    prepare, scan, store = Preparer(), scan_file(tmp_path / "a.nii"), Store(tmp_path / "store")
    entry = stored(store, scan, prepare)
    stored(store, scan, prepare)
    assert read == ["a.nii", "volume.npy", "mask.npy"]
    stored(Store(tmp_path / "store"), scan, prepare)
    assert len(read) == 3
    status = (entry.folder / "volume.npy").stat()
    raw = bytearray((entry.folder / "volume.npy").read_bytes())
    raw[-1] ^= 1
    (entry.folder / "volume.npy").write_bytes(raw)
    os.utime(entry.folder / "volume.npy", ns=(status.st_atime_ns, status.st_mtime_ns))
    stored(store, scan, prepare)
    assert read[3] == "volume.npy"
    assert prepare.calls == 2


def test_decay_that_leaves_no_trace_is_found_when_asked_for(tmp_path, monkeypatch, settled):
    prepare, scan = Preparer(), scan_file(tmp_path / "a.nii")
    good = stored(Store(tmp_path / "store"), scan, prepare)
    before = np.array(good.volume)
    stored(Store(tmp_path / "store"), scan, prepare)
    same = {p: file_digests._status(p) for p in (scan, *good.folder.iterdir())}
    raw = bytearray((good.folder / "volume.npy").read_bytes())
    raw[-1] ^= 1
    (good.folder / "volume.npy").write_bytes(raw)
    monkeypatch.setattr(file_digests, "_status", lambda path: same[path])
    stored(Store(tmp_path / "store"), scan, prepare)
    assert prepare.calls == 1
    entry = stored(Store(tmp_path / "store", anew=True), scan, prepare)
    assert prepare.calls == 2
    np.testing.assert_array_equal(entry.volume, before)


def test_a_file_that_has_just_changed_is_not_remembered(tmp_path, monkeypatch):
    file = tmp_path / "a"
    file.write_text("one")
    memory = file_digests.Digests(tmp_path / "memory")
    assert memory.of(file) == sha256(file)
    assert not (tmp_path / "memory").exists()
    monkeypatch.setattr(file_digests, "_SETTLED", -1)
    assert memory.of(file) == sha256(file)
    (remembered,) = (tmp_path / "memory").iterdir()
    for damage in ("", "[]", "{}", '{"status": 1}'):
        remembered.write_text(damage)
        assert memory.of(file) == sha256(file)


@pytest.mark.parametrize("damaged", [False, True])
def test_writers_of_one_entry_all_succeed(tmp_path, damaged):
    scan = scan_file(tmp_path / "a.nii")
    if damaged:
        entry = stored(Store(tmp_path / "store"), scan, Preparer())
        (entry.folder / "volume.npy").write_bytes(b"cut")
    together = threading.Barrier(6)

    class Slow(Preparer):
        def __call__(self, path):
            prepared = super().__call__(path)
            together.wait(timeout=60)
            return prepared

    with ThreadPoolExecutor(6) as pool:
        tasks = [pool.submit(stored, Store(tmp_path / "store"), scan, Slow()) for _ in range(6)]
        entries = [task.result() for task in tasks]
    assert len({entry.facts["digest"] for entry in entries}) == 1
    for entry in entries:
        np.testing.assert_array_equal(entry.volume, Preparer()(scan).volume)
    assert kept(tmp_path / "store") == {entries[0].folder.name}


def test_a_sound_entry_is_not_moved_by_who_found_a_damaged_one_in_its_place(tmp_path, monkeypatch):
    store, scan = Store(tmp_path / "store"), scan_file(tmp_path / "a.nii")
    entry = stored(store, scan, Preparer())
    (entry.folder / "volume.npy").write_bytes(b"cut")
    inodes, load = [], store_module.entries.load

    def get():
        stored(Store(tmp_path / "store"), scan, Preparer())
        inodes.append(entry.folder.stat().st_ino)

    other = threading.Thread(target=get)

    def slow(*args, **settings):
        try:
            return load(*args, **settings)
        finally:
            if settings.get("anew") and not other.ident:  # about to be replaced by the first
                other.start()
                other.join(timeout=1)

    monkeypatch.setattr(store_module.entries, "load", slow)
    get()
    other.join()
    assert len(inodes) == 2
    assert inodes[0] == inodes[1]


def test_what_killed_runs_left_is_removed_and_what_is_being_written_is_not(tmp_path):
    store = Store(tmp_path / "store")
    entry = stored(store, scan_file(tmp_path / "a.nii"), Preparer())
    old, young = tmp_path / "store" / ".fmtool-old", tmp_path / "store" / ".fmtool-young"
    for scratch in (old, young):
        (scratch / "new").mkdir(parents=True)
        (scratch / "new" / "volume.npy").write_text("half")
    os.utime(old, (0, 0))
    store.tidy()
    assert sorted((tmp_path / "store").iterdir()) == sorted([young, entry.folder])


def test_a_store_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FmtoolError, match=r"cannot write .*needs a folder with space"):
        stored(Store(tmp_path / "file"), scan_file(tmp_path / "a.nii"), Preparer())


def test_a_full_disk_stops_the_run_and_leaves_nothing(tmp_path, monkeypatch):
    def full(path, array):
        Path(path).write_text("as far as it went", encoding="utf-8")
        raise OSError("5529600 requested and 17 written")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(FmtoolError, match=r"cannot write .*17 written.* folder with space"):
        stored(Store(tmp_path / "store"), scan_file(tmp_path / "a.nii"), Preparer())
    assert not list((tmp_path / "store").iterdir())


def test_entries_hold_no_file_open(tmp_path):
    store = Store(tmp_path / "store")
    made = [stored(store, scan_file(tmp_path / f"{i}.nii", "x" * i), Preparer()) for i in range(3)]
    assert all(entry.volume.shape == entry.mask.shape == SHAPE for entry in made)
    mapped = Path("/proc/self/maps")
    if mapped.exists():
        assert str(tmp_path) not in mapped.read_text(encoding="utf-8")
    (made[1].folder / "mask.npy").unlink()
    with pytest.raises(InputError, match=r"mask\.npy was there .* prepare the cohort again"):
        _ = made[1].mask


def test_a_failed_preparation_leaves_nothing(tmp_path):
    def fail(path):
        raise InputError("no brain")

    store = Store(tmp_path / "store")
    with pytest.raises(InputError, match="no brain"):
        stored(store, scan_file(tmp_path / "a.nii"), fail)
    assert not (tmp_path / "store").exists()
