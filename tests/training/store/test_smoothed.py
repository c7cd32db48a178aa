"""Smoothed maps are computed once a prepared scan, by today's code, and anew where damaged."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.store import Store
from runtime.store.entry import MadeScan
from training.evidence import smoothed_scan, soft_tissue
from training.store import smoothed

SHAPE = (16, 18, 20)


@pytest.fixture
def entries(tmp_path):
    """Three prepared scans."""
    store, found = Store(tmp_path / "store"), []
    for i in range(3):
        scan = tmp_path / f"{i}.nii"
        scan.write_text(str(i))
        rng = np.random.default_rng(i)
        made = MadeScan(rng.random(SHAPE, dtype=np.float32), rng.random(SHAPE) < 0.8, {})
        found.append(store.get(scan, (), lambda made=made: made))
    return found


def files(entries):
    return [next(entry.folder.glob("smoothed-*.npy")) for entry in entries]


def test_they_are_kept_beside_the_volume_and_read_from_there(entries, monkeypatch):
    first = smoothed.gram(entries)
    expected = [soft_tissue.smoothed(entry.volume, entry.mask) for entry in entries]
    assert np.array_equal(first, soft_tissue.inner_products(expected))
    monkeypatch.setattr(soft_tissue, "smoothed", lambda *given: pytest.fail("computed again"))
    assert np.array_equal(first, smoothed.gram(entries))


def test_damaged_ones_and_those_of_other_code_are_computed_again(entries, monkeypatch):
    first = smoothed.gram(entries)
    files(entries)[0].write_bytes(b"\x93NUMPY")
    assert np.array_equal(first, smoothed.gram(entries))
    monkeypatch.setattr(soft_tissue, "made_by", lambda: "newer")
    monkeypatch.setattr(soft_tissue, "smoothed", lambda volume, mask: volume)
    assert not np.array_equal(first, smoothed.gram(entries))


def test_the_entry_stays_sound(entries, tmp_path):
    smoothed.gram(entries)
    again = Store(tmp_path / "store", anew=True).get(
        tmp_path / "0.nii", (), lambda: pytest.fail("prepared again")
    )
    assert again.facts["digest"] == entries[0].facts["digest"]


def test_more_scans_than_the_model_takes_are_not_smoothed(entries, monkeypatch):
    monkeypatch.setattr(smoothed_scan, "MOST", 2)
    assert smoothed.gram(entries) is None
    assert not list(entries[0].folder.glob("smoothed-*"))
