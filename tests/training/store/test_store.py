"""The store prepares each scan once, and the embeddings are computed once."""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch

from fmtool import space
from fmtool.errors import FmtoolError, InputError
from fmtool.files import sha256
from training import encoders
from training import store as store_module
from training.augment import whole
from training.cohort import Row
from training.store import Store, embed, file_digests

SHAPE = (16, 18, 20)


class Preparer:
    """Stands in for the preprocessing pipeline, and counts its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, path):
        self.calls += 1
        rng = np.random.default_rng(len(path.read_bytes()))
        facts = {"brain_volume_ml": np.float32(1200.5), "registered": np.bool_(True)}
        return SimpleNamespace(
            volume=rng.random(SHAPE, dtype=np.float32), mask=rng.random(SHAPE) < 0.5, facts=facts
        )


def row(path, content="a scan", mask=None):
    if content is not None:
        path.write_text(content)
    return Row("s", path, mask, 1.0, None, 2)


def kept(store):
    """All of a store but its lock."""
    return {path.name for path in store.iterdir()} - {".lock"}


def test_a_scan_is_prepared_once(tmp_path):
    prepare, scan = Preparer(), row(tmp_path / "a.nii")
    first = Store(tmp_path / "store", "bundle").get(scan, prepare)
    again = Store(tmp_path / "store", "bundle").get(scan, prepare)
    volume, mask, facts = again.volume, again.mask, again.facts
    assert prepare.calls == 1
    assert isinstance(volume, np.memmap)
    assert (volume.dtype, mask.dtype) == (np.float32, np.bool_)
    np.testing.assert_array_equal(volume, prepare(scan.image).volume)
    np.testing.assert_array_equal(mask, first.mask)
    assert facts["brain_volume_ml"] == pytest.approx(1200.5)
    assert facts["registered"] is True
    assert facts["digest"] == first.facts["digest"]


def test_other_bytes_or_another_bundle_prepare_anew(tmp_path):
    prepare, folder = Preparer(), tmp_path / "store"
    digest = Store(folder, "one").get(row(tmp_path / "a.nii"), prepare).facts["digest"]
    Store(folder, "two").get(row(tmp_path / "a.nii"), prepare)
    assert prepare.calls == 2
    Store(folder, "one").get(row(tmp_path / "moved.nii"), prepare)
    assert prepare.calls == 2
    changed = Store(folder, "one").get(row(tmp_path / "a.nii", "another scan"), prepare)
    assert prepare.calls == 3
    assert changed.facts["digest"] != digest


def test_other_preprocessing_prepares_anew(tmp_path, monkeypatch):
    prepare, scan = Preparer(), row(tmp_path / "a.nii")
    Store(tmp_path / "store").get(scan, prepare)
    monkeypatch.setattr(store_module.code_digest, "installed", lambda: "other code")
    Store(tmp_path / "store").get(scan, prepare)
    assert prepare.calls == 2


@pytest.mark.parametrize("name", ["volume.npy", "mask.npy", "facts.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_entry_is_rebuilt_and_said_aloud(tmp_path, caplog, name, damage):
    prepare, scan, store = Preparer(), row(tmp_path / "a.nii"), Store(tmp_path / "store")
    good = np.array(store.get(scan, prepare).volume)
    file = next((tmp_path / "store").glob(f"*/{name}"))
    raw = file.read_bytes()
    if damage == "remove":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(raw[:20])
    else:
        file.write_bytes(b"\x00" + raw[1:])
    with caplog.at_level(logging.WARNING):
        entry = store.get(scan, prepare)
    assert prepare.calls == 2
    assert "damaged" in caplog.text
    np.testing.assert_array_equal(entry.volume, good)
    assert kept(tmp_path / "store") == {entry.folder.name}


def test_a_changed_fact_is_damage_too(tmp_path, caplog):
    prepare, scan, store = Preparer(), row(tmp_path / "a.nii"), Store(tmp_path / "store")
    facts = store.get(scan, prepare).folder / "facts.json"
    facts.write_text(facts.read_text(encoding="utf-8").replace("1200.5", "1200.6"))
    assert store.get(scan, prepare).facts["brain_volume_ml"] == 1200.5
    assert "its facts have changed" in caplog.text


@pytest.fixture
def settled(monkeypatch):
    """All files count as written long ago, so that their digests are remembered at once."""
    monkeypatch.setattr(file_digests, "_SETTLED", -1)


def test_verified_bytes_are_trusted_until_their_file_changes(tmp_path, monkeypatch, settled):
    read = []
    monkeypatch.setattr(file_digests, "sha256", lambda path: read.append(path.name) or sha256(path))
    prepare, scan, store = Preparer(), row(tmp_path / "a.nii"), Store(tmp_path / "store")
    entry = store.get(scan, prepare)
    store.get(scan, prepare)
    assert read == ["a.nii", "volume.npy", "mask.npy"]
    Store(tmp_path / "store").get(scan, prepare)
    assert len(read) == 3
    status = (entry.folder / "volume.npy").stat()
    raw = bytearray((entry.folder / "volume.npy").read_bytes())
    raw[-1] ^= 1
    (entry.folder / "volume.npy").write_bytes(raw)
    os.utime(entry.folder / "volume.npy", ns=(status.st_atime_ns, status.st_mtime_ns))
    store.get(scan, prepare)
    assert read[3] == "volume.npy"
    assert prepare.calls == 2


def test_decay_that_leaves_no_trace_is_found_when_asked_for(tmp_path, monkeypatch, settled):
    prepare, scan = Preparer(), row(tmp_path / "a.nii")
    good = Store(tmp_path / "store").get(scan, prepare)
    before = np.array(good.volume)
    Store(tmp_path / "store").get(scan, prepare)
    same = {p: file_digests._status(p) for p in (scan.image, *good.folder.iterdir())}
    raw = bytearray((good.folder / "volume.npy").read_bytes())
    raw[-1] ^= 1
    (good.folder / "volume.npy").write_bytes(raw)
    monkeypatch.setattr(file_digests, "_status", lambda path: same[path])
    Store(tmp_path / "store").get(scan, prepare)
    assert prepare.calls == 1
    entry = Store(tmp_path / "store", anew=True).get(scan, prepare)
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
    scan = row(tmp_path / "a.nii")
    if damaged:
        entry = Store(tmp_path / "store").get(scan, Preparer())
        (entry.folder / "volume.npy").write_bytes(b"cut")
    together = threading.Barrier(6)

    class Slow(Preparer):
        def __call__(self, path):
            prepared = super().__call__(path)
            together.wait(timeout=60)
            return prepared

    with ThreadPoolExecutor(6) as pool:
        tasks = [pool.submit(Store(tmp_path / "store").get, scan, Slow()) for _ in range(6)]
        entries = [task.result() for task in tasks]
    assert len({entry.facts["digest"] for entry in entries}) == 1
    for entry in entries:
        np.testing.assert_array_equal(entry.volume, Preparer()(scan.image).volume)
    assert kept(tmp_path / "store") == {entries[0].folder.name}


def test_a_sound_entry_is_not_moved_by_who_found_a_damaged_one_in_its_place(tmp_path, monkeypatch):
    store, scan = Store(tmp_path / "store"), row(tmp_path / "a.nii")
    entry = store.get(scan, Preparer())
    (entry.folder / "volume.npy").write_bytes(b"cut")
    inodes, load = [], store_module.entries.load

    def get():
        Store(tmp_path / "store").get(scan, Preparer())
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
    entry = store.get(row(tmp_path / "a.nii"), Preparer())
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
        Store(tmp_path / "file").get(row(tmp_path / "a.nii"), Preparer())


def test_a_full_disk_stops_the_run_and_leaves_nothing(tmp_path, monkeypatch):
    def full(path, array):
        Path(path).write_text("as far as it went", encoding="utf-8")
        raise OSError("5529600 requested and 17 written")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(FmtoolError, match=r"cannot write .*17 written.* folder with space"):
        Store(tmp_path / "store").get(row(tmp_path / "a.nii"), Preparer())
    assert not list((tmp_path / "store").iterdir())


def test_entries_hold_no_file_open(tmp_path):
    store = Store(tmp_path / "store")
    made = [store.get(row(tmp_path / f"{i}.nii", "x" * i), Preparer()) for i in range(3)]
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
        store.get(row(tmp_path / "a.nii"), fail)
    assert not (tmp_path / "store").exists()


def test_prepared_files_are_read_as_they_are(tmp_path):
    rng = np.random.default_rng(0)
    mask = (rng.random(space.GRID_SHAPE) < 0.5).astype(np.uint8)
    volume = mask * (0.2 + 0.6 * rng.random(space.GRID_SHAPE, dtype=np.float32))
    nib.save(nib.Nifti1Image(volume, space.grid_affine()), tmp_path / "v.nii")
    nib.save(nib.Nifti1Image(mask, space.grid_affine()), tmp_path / "m.nii")
    prepared = row(tmp_path / "v.nii", content=None, mask=tmp_path / "m.nii")
    prepare = Preparer()
    entry = Store(tmp_path / "store").get(prepared, prepare)
    assert prepare.calls == 0
    np.testing.assert_array_equal(entry.mask, space.to_crop(mask) > 0)
    np.testing.assert_array_equal(entry.volume, space.to_crop(volume))
    assert entry.facts["brain_volume_ml"] == pytest.approx(mask.sum() / 1000)


def test_prepared_files_off_the_grid_are_refused(tmp_path):
    volume = np.random.default_rng(0).random((20, 20, 20), dtype=np.float32)
    nib.save(nib.Nifti1Image(volume, space.grid_affine()), tmp_path / "v.nii")
    prepared = row(tmp_path / "v.nii", content=None, mask=tmp_path / "v.nii")
    with pytest.raises(InputError, match=r"v\.nii.*grid"):
        Store(tmp_path / "store").get(prepared, Preparer())


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    encoder = encoders.build(width=0.03125)
    encoder(torch.randn(4, 1, 16, 16, 16))
    return encoder


@pytest.fixture
def entries(tmp_path):
    store = Store(tmp_path / "store")
    return [store.get(row(tmp_path / f"{i}.nii", "x" * i), Preparer()) for i in range(3)]


def test_embeddings_are_the_eval_mode_encoders(tmp_path, encoder, entries):
    encoder.train()
    found = embed.embeddings(encoder, entries, tmp_path / "cache")
    assert encoder.training
    assert (found.shape, found.dtype) == ((3, 16), np.float32)
    encoder.eval()
    for entry, embedding in zip(entries, found, strict=True):
        volume, mask = (
            torch.from_numpy(np.array(a))[None, None] for a in (entry.volume, entry.mask)
        )
        with torch.inference_mode():
            expected = encoder(encoders.masked_zscore(volume, mask))[0].numpy()
        np.testing.assert_allclose(embedding, expected, rtol=1e-4, atol=1e-5)


def test_embeddings_are_computed_once_per_encoder_and_volume(
    tmp_path, encoder, entries, monkeypatch, caplog
):
    calls = []
    whole = embed.whole
    monkeypatch.setattr(embed, "whole", lambda *a: calls.append(1) or whole(*a))
    first = embed.embeddings(encoder, entries, tmp_path / "cache")
    again = embed.embeddings(encoder, entries[::-1], tmp_path / "cache")
    np.testing.assert_array_equal(first, again[::-1])
    assert len(calls) == 3
    other = encoders.build(width=0.03125)
    assert not np.allclose(embed.embeddings(other, entries, tmp_path / "cache"), first)
    assert len(calls) == 6
    cached = next((tmp_path / "cache" / encoders.digest(encoder)).glob("*.npy"))
    cached.write_bytes(cached.read_bytes()[:30])
    np.testing.assert_array_equal(embed.embeddings(encoder, entries, tmp_path / "cache"), first)
    assert len(calls) == 7
    assert "damaged" in caplog.text


def test_a_smaller_input_shape_is_another_embedding(tmp_path, encoder, entries):
    full = embed.embeddings(encoder, entries, tmp_path / "cache")
    small = embed.embeddings(encoder, entries, tmp_path / "cache", (16, 16, 16))
    assert not np.allclose(full, small, rtol=1e-3)
    volume, mask = (torch.from_numpy(np.array(a)) for a in (entries[0].volume, entries[0].mask))
    encoder.eval()
    with torch.inference_mode():
        expected = encoder(whole.whole(volume, mask, (16, 16, 16))[None, None])[0].numpy()
    np.testing.assert_allclose(small[0], expected, rtol=1e-4, atol=1e-5)
