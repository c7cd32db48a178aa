"""A summary goes into the bundle it was measured on, and into no other."""

import json
import shutil
from dataclasses import replace

import pytest

from export.parts.robustness import attach
from fmtool import bundle as bundles
from fmtool.errors import BundleError, InputError
from runtime.trust import robustness

ROW = {
    "name": "turned",
    "judged": True,
    "heads": 3,
    "refused": 0,
    "outputs": {"age": {"median": 0.4, "share": 0.05}, "sex": None},
    "embedding": None,
}


@pytest.fixture
def measured(tmp_path):
    """A copy of the demonstration bundle, and a summary that was measured on it."""
    folder = tmp_path / "mine.fmtool"
    shutil.copytree(bundles.DEMO, folder)
    summary = tmp_path / "robustness.json"
    found = {
        "format": 1,
        "bundle": {"name": "demo", "digest": bundles.open(folder).digest},
        "engine": "an engine",
        "heads": 3,
        "sets": ["raw"],
        "errors": {"age": {"error": 7.5, "unit": "years"}},
        "values": {"age": {"q1": 30.0, "q3": 45.0}},
        "perturbations": [ROW],
    }
    summary.write_text(json.dumps(found), encoding="utf-8")
    return folder, summary


def test_the_card_and_every_result_tell_it(measured):
    folder, summary = measured
    before = bundles.open(folder)
    card = before.file("MODEL_CARD.md").read_text(encoding="utf-8")
    after = attach(before, summary)
    assert after.digest != before.digest
    said = robustness.read(bundles.open(folder))
    assert "0.4 years (turned, 5% of its cross-validated error)" in said[1]
    told = after.file("MODEL_CARD.md").read_text(encoding="utf-8")
    assert "## How far its outputs move" in told
    assert said[1] in told
    kept = [line for line in card.splitlines() if "How far its outputs" not in line]
    assert [line for line in told.splitlines() if line in kept][-5:] == kept[-5:]
    was = before.manifest
    kept = {"files": was.files, "format": was.format, "robustness": was.robustness}
    assert replace(after.manifest, **kept) == was


def test_measured_on_another_bundle(measured):
    folder, summary = measured
    attach(bundles.open(folder), summary)
    digest = bundles.open(folder).digest
    with pytest.raises(InputError, match=r"not on .*mine\.fmtool .* measure this one"):
        attach(bundles.open(folder), summary)
    assert bundles.open(folder).digest == digest


def test_a_zip_is_left_alone(measured, tmp_path):
    folder, summary = measured
    archive = shutil.make_archive(str(tmp_path / "zipped"), "zip", folder.parent, folder.name)
    with bundles.open(archive) as opened, pytest.raises(BundleError, match="unzip it"):
        attach(opened, summary)


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 9}', '{"format": 1}'])
def test_what_is_no_summary(measured, content):
    folder, summary = measured
    summary.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="is not what `python -m benchmarks"):
        attach(bundles.open(folder), summary)


def test_a_summary_that_is_not_there(measured, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        attach(bundles.open(measured[0]), tmp_path / "none.json")
