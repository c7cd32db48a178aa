"""A scan that a head was fitted on is recognised by its bytes, under any name, and said."""

from __future__ import annotations

import pytest

from fmtool import bundle as bundles
from fmtool.bundle.exposure import BundleExposure, Exposure, scan_digest
from fmtool.files import sha256
from fmtool.task import AGE
from runtime.answer import answer
from runtime.ledger.content import content_digest, content_digests
from runtime.prepare import Preparer
from runtime.report import rows


def test_only_the_task_whose_label_was_used_has_learnt_from_a_scan():
    told = Exposure(labelled_scans=frozenset({scan_digest("aa")}))
    known = BundleExposure(Exposure(), {"age": told, "sex": Exposure()})
    assert known.learnt_from("age", ["zz", "aa"])
    assert not known.learnt_from("sex", ["aa"])
    assert not known.learnt_from("age", ["bb"])
    assert not known.learnt_from("iq", ["aa"])
    assert known.knows_labelled
    # the images alone, as of pretraining, make no answer too good
    seen = BundleExposure(Exposure(scans=frozenset({scan_digest("aa")})), {})
    assert not seen.learnt_from("age", ["aa"])
    assert not seen.knows_labelled
    # weights of an encoder that learnt from labels serve every head
    tuned = BundleExposure(Exposure(labelled_scans=frozenset({scan_digest("aa")})), {})
    assert tuned.learnt_from("age", ["aa"])


def test_a_scan_is_known_under_any_name_and_a_pair_by_each_file(tmp_path):
    one, other = tmp_path / "a.nii", tmp_path / "renamed.nii"
    one.write_bytes(b"scan")
    other.write_bytes(b"scan")
    assert content_digests(one) == content_digests(other) == {content_digest(one)}
    pair = tmp_path / "prepared"
    pair.mkdir()
    (pair / "normalized.nii.gz").write_bytes(b"volume")
    (pair / "mask.nii.gz").write_bytes(b"mask")
    found = content_digests(pair)
    assert found == content_digests(pair / "normalized.nii.gz")
    assert (
        sha256(pair / "normalized.nii.gz") in found
    )  # what a cohort's row with a mask is known by


@pytest.mark.parametrize("known", [True, False])
def test_a_scan_is_digested_where_there_is_something_to_compare_it_with(tmp_path, known):
    (tmp_path / "a.nii").write_bytes(b"scan")
    with bundles.open() as bundle:
        preparer = Preparer(bundle)
    preparer._known = known
    found = preparer._contents(tmp_path / "a.nii", None)
    assert found == (frozenset({sha256(tmp_path / "a.nii")}) if known else frozenset())
    assert preparer._contents(tmp_path / "gone.nii", None) == frozenset()


def test_such_an_answer_says_so_in_every_form():
    made = answer(AGE, 34.0, {"value": 5.0, "beats_baseline": False, "baseline_name": "median"})
    seen = answer(AGE, 34.0, {"value": 5.0}, learnt_from=True)
    assert seen.learnt_from
    assert "has learnt from this scan" in seen.warnings[0]
    assert seen.warnings[0] not in seen.of_head
    assert not made.learnt_from
    assert made.to_dict()["learnt_from"] is False
    assert set(made.of_head) == set(made.warnings)  # nothing of them is of this scan
    value = seen.to_dict()
    told = {"scan": "a.nii", "values": {"age": value}, "quality": [], "warnings": []}
    told |= {"facts": {"brain_volume_ml": 1e3}, "timings": {"total": 1.0}, "engine": "none"}
    (row,) = rows.records([told | {"bundle": {"name": "b", "digest": "d"}}])
    assert row["age_learnt_from"] is True
    assert "has learnt from this scan" in row["warnings"][0]
