"""What a measured bundle says of itself, and what a damaged file is answered with."""

import json
from dataclasses import replace

import pytest

from fmtool import bundle as bundles
from fmtool.bundle.manifest import FileFacts
from fmtool.errors import BundleError
from fmtool.files import sha256
from runtime.trust import robustness

FOUND = {
    "format": 1,
    "engine": "an engine",
    "heads": 3,
    "sets": ["raw"],
    "errors": {"age": {"error": 5.0, "unit": "years"}},
    "values": {"age": {"q1": 30.0, "q3": 45.0}},
    "perturbations": [
        {
            "name": "turned",
            "judged": True,
            "heads": 3,
            "refused": 0,
            "outputs": {"age": {"median": 0.4, "share": 0.08}},
            "embedding": {"median": 0.1},
        }
    ],
}


def made(folder, text):
    """A bundle with such a file."""
    (folder / "r.json").write_text(text, encoding="utf-8")
    listed = {"r.json": FileFacts(sha256(folder / "r.json"), len(text))}
    manifest = replace(bundles.open().manifest, files=listed, robustness="r.json")
    return bundles.Bundle(folder, manifest, "ab")


def test_a_bundle_that_was_not_measured_says_nothing(tmp_path):
    bundle = made(tmp_path, "")
    bundle.manifest = replace(bundle.manifest, robustness=None)
    assert robustness.read(bundle) == []


def test_a_measured_bundle_says_how_far_it_moves(tmp_path):
    said = robustness.read(made(tmp_path, json.dumps(FOUND)))
    assert said[0].startswith("Measured with an engine on 3 heads")
    assert "at most 0.4 years (turned, 8% of its cross-validated error)" in said[1]
    assert "own values spans 15 years" in said[1]
    assert "at most 10% (turned)" in said[2]


@pytest.mark.parametrize(
    "damage", ["[" * 100_000, '{"format": 2}', "[]", "{", '{"format": 1, "perturbations": 3}']
)
def test_a_damaged_file_is_told_in_one_sentence(tmp_path, damage):
    with pytest.raises(BundleError, match=r"r\.json is damaged .* measure the bundle again"):
        robustness.read(made(tmp_path, damage))
