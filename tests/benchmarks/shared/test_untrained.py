"""The peer that nobody trained: what it is given, and what it gives."""

import numpy as np
import pytest

from benchmarks.shared.held import HeldScan
from benchmarks.shared.peers import untrained
from fmtool import space


@pytest.fixture
def entry():
    random = np.random.default_rng(0)
    z, y, x = np.indices(space.CROP_SHAPE)
    mask = ((z - 75) / 60) ** 2 + ((y - 96) / 80) ** 2 + ((x - 96) / 65) ** 2 < 1
    volume = np.where(mask, random.normal(size=mask.shape), 0.0).astype(np.float32)
    return HeldScan(volume, mask, {"digest": "d" * 8})


def test_it_is_given_a_stripped_scan_on_the_whole_grid(entry):
    given = untrained.as_scanned(entry)
    assert given.shape == space.GRID_SHAPE
    back = np.asarray(space.to_crop(given))
    assert (back > 0).tolist() == entry.mask.tolist()
    assert (given > 0).sum() == entry.mask.sum()
    inside = entry.mask
    assert np.corrcoef(back[inside], entry.volume[inside])[0, 1] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.slow
def test_its_features_are_kept_and_do_not_hang_on_the_zscore(entry, tmp_path, monkeypatch):
    uncnn = pytest.importorskip("uncnn")
    scaled = HeldScan(3.0 * entry.volume + 2.0 * entry.mask, entry.mask, {"digest": "e" * 8})
    found = untrained.features([entry, scaled], tmp_path)
    assert found.shape == (2, 9664)
    assert np.abs(found[0] - found[1]).max() < 1e-2 * np.abs(found[0]).max()
    monkeypatch.setattr(uncnn, "extract_features", None)
    assert untrained.features([entry, scaled], tmp_path).tolist() == found.tolist()
