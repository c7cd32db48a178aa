"""What a site's scans were answered with is kept, smoothed maps and all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.cohort.row import Row
from training.evidence import soft_tissue
from training.site import answers
from training.site.calibrate import calibrate

MAPS = np.arange(24, dtype=np.float16).reshape(3, 2, 2, 2)


@pytest.fixture
def asked(tmp_path):
    """Asks for a scan's answer, whose calls are counted."""
    scan, calls = tmp_path / "a.nii", []
    scan.write_bytes(b"a scan")

    def answer(row):
        calls.append(row)
        return {"embedding": [1.0, 2.0], "facts": {"f": 1.0}, "checks": {}, "smoothed": MAPS}

    row = Row("s", scan, None, 1.0, None, 2)
    return lambda: (answers._one(row, tmp_path / "kept", answer), len(calls))


def test_a_scan_is_answered_once(asked):
    first, _ = asked()
    again, calls = asked()
    assert calls == 1
    assert np.array_equal(again.pop("smoothed"), first.pop("smoothed"))
    assert again == first


def test_without_its_maps_or_with_those_of_other_code_it_is_answered_again(
    asked, tmp_path, monkeypatch
):
    asked()
    (maps,) = (tmp_path / "kept").glob("*.npy")
    maps.write_bytes(maps.read_bytes()[:40])
    assert asked()[1] == 2
    monkeypatch.setattr(soft_tissue, "made_by", lambda: "newer")
    found, calls = asked()
    assert calls == 3
    assert np.array_equal(found["smoothed"], MAPS)


def test_some_of_the_scans_have_their_inner_products(site):
    whole = replace(site(10), gram=np.arange(100.0).reshape(10, 10))
    assert whole.take([3, 1]).gram.tolist() == [[33.0, 31.0], [13.0, 11.0]]
    assert site(10).take([3, 1]).gram is None


def test_a_calibrated_head_is_compared_with_the_site_s_own_linear_model(demo, site):
    answered = site(20, offset=-12.0)
    assert calibrate(answered, demo).evidence["smoothed_scan"] is None
    knowing = np.c_[answered.cohort.labels, np.ones(20)]
    found = calibrate(replace(answered, gram=knowing @ knowing.T), demo).evidence["smoothed_scan"]
    assert found["value"] < 1.0
    assert found["head_is_better"] is False
    assert found["difference_interval"][0] > 0.0
