"""Child bundles of the demonstration: what is told of the parent, and what an engine answers."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from export import child
from export.child import ChildHead, Descent
from fmtool import bundle, task
from fmtool.bundle import exposure
from fmtool.bundle.exposure import Exposure
from fmtool.bundle.format import FORMAT
from fmtool.errors import BundleError, ParityError, UsageError
from runtime import trust
from runtime.engines.heads import affine
from runtime.engines.selftest import self_test
from runtime.trust import drift

GAP = task.Task("gap", "regression", "years", "gap")
EVIDENCE = {"metric": "MAE", "unit": "years", "value": 5.0, "trust": None}
WEIGHT = np.random.default_rng(0).normal(size=bundle.open(bundle.DEMO).manifest.encoder.features)
_PEOPLE = frozenset([exposure.subject_digest("sub-01")])
SITE = Exposure(subjects=_PEOPLE, labelled_subjects=_PEOPLE)
KNOWN = drift.reference([{"noise": 1.0 + 0.1 * i} for i in range(12)], {}, 12)


@pytest.fixture(scope="module")
def demo():
    with bundle.open() as opened:
        yield opened


@pytest.fixture(scope="module")
def moved(demo, tmp_path_factory):
    """The demonstration with its ages halved and 20 years added."""
    known = trust.read(demo)["age"]
    head = ChildHead(
        task=task.AGE, evidence={**demo.evidence("age")}, trust=known, slope=0.5, offset=20.0
    )
    descent = Descent(
        made="its head of age was moved.",
        heads=[head],
        ranges={"noise": [0.1, 0.2]},
        reference=KNOWN.to_dict(),
        exposure=SITE,
        limits=["Moved."],
    )
    return child.write(tmp_path_factory.mktemp("child") / "moved.fmtool", demo, descent)


@pytest.fixture(scope="module")
def grown(moved, tmp_path_factory):
    """A grandchild, with a head of its own alone."""
    head = ChildHead(task=GAP, evidence={}, trust=None, weight=WEIGHT, bias=2.0)
    descent = Descent(made="a head of gap was fitted.", heads=[head], keeps=False)
    return child.write(tmp_path_factory.mktemp("child") / "grown.fmtool", moved, descent)


def test_a_child_names_its_parent(demo, moved):
    assert moved.manifest.parent.digest == demo.digest
    assert moved.manifest.format == FORMAT
    card = moved.file("MODEL_CARD.md").read_text()
    assert f"A child of the bundle demo, digest `{demo.digest}`: its head of age was moved" in card
    assert demo.manifest.parent is None
    moved.check_parent(demo)
    with pytest.raises(BundleError, match="is another, or was changed since"):
        moved.check_parent(moved)
    with pytest.raises(BundleError, match="is no child"):
        demo.check_parent(moved)


def test_a_child_without_its_parents_heads_is_no_demonstration_of_them(demo, moved, grown):
    assert demo.manifest.demonstration
    assert moved.manifest.demonstration
    assert not grown.manifest.demonstration
    assert set(demo.manifest.limits) <= set(moved.manifest.limits)
    assert grown.manifest.limits == []  # they spoke of the heads that went


def test_a_moved_head_answers_as_it_was_moved(demo, moved):
    before, after = (affine(b, ["age", "sex"]) for b in (demo, moved))
    np.testing.assert_allclose(after["age"][0], 0.5 * before["age"][0], atol=1e-6)
    assert after["age"][1] == pytest.approx(0.5 * before["age"][1] + 20.0, abs=1e-5)
    np.testing.assert_array_equal(after["sex"][0], before["sex"][0])
    _, passed = self_test(moved, "onnxruntime", "cpu")
    assert set(passed.errors) == {"embedding", "age", "sex"}


def test_what_the_site_changed_is_kept_and_what_it_did_not_measure_goes(demo, moved):
    manifest = moved.manifest
    assert manifest.calibration == {"noise": [0.1, 0.2]}
    assert manifest.limits[0] == "Moved."
    assert (manifest.robustness, demo.manifest.robustness is None) == (None, False)
    assert drift.read(moved) == KNOWN
    assert trust.read(moved).keys() == {"age", "sex"}
    ages = manifest.parity["float32"]["tasks"]["age"], demo.manifest.parity["float32"]["tasks"]
    assert ages[0]["shift"] == 0.5 * ages[1]["age"]["shift"]


def test_whose_labels_moved_a_head_is_kept_with_that_head_alone(demo, moved):
    before, found = exposure.read(demo), exposure.read(moved)
    assert found.tasks == {"age": before.of("age") | SITE, "sex": before.of("sex")}
    assert found.encoder == before.encoder
    assert found.of("age").overlap(dict.fromkeys(_PEOPLE, ())).labels == 1


@pytest.mark.slow
def test_a_grandchild_has_its_own_head_and_a_map_of_it(moved, grown):
    assert grown.manifest.parent.digest == moved.digest
    assert list(grown.tasks) == ["gap"]
    assert grown.manifest.tasks["gap"].map == "gap_map"
    assert grown.manifest.reference is None
    assert grown.manifest.trust is None
    weight, bias = affine(grown, ["gap"])["gap"]
    np.testing.assert_allclose(weight, WEIGHT, atol=1e-5)
    assert bias == pytest.approx(2.0)
    _, passed = self_test(grown, "onnxruntime", "cpu")
    assert passed.maps["gap_map"].mean() == pytest.approx(
        grown.manifest.self_test.outputs["gap"][0], rel=1e-4
    )


def test_two_heads_of_one_name_are_refused(moved, tmp_path):
    head = ChildHead(task=task.AGE, evidence={}, trust=None, weight=WEIGHT)
    with pytest.raises(UsageError, match="--drop-heads"):
        child.write(tmp_path / "c.fmtool", moved, Descent(made="x", heads=[head]))
    assert not list(tmp_path.iterdir())


def test_a_child_that_fails_its_self_test_is_not_written(demo, tmp_path, monkeypatch):
    right = child._expected

    def wrong(*given):
        found = right(*given)
        return replace(found, outputs={**found.outputs, "age": [0.0]})

    monkeypatch.setattr(child, "_expected", wrong)
    with pytest.raises(ParityError):
        child.write(tmp_path / "c.fmtool", demo, Descent(made="x", heads=[]))
    assert not list(tmp_path.iterdir())


def test_a_parent_in_the_manifest_is_checked(moved, tmp_path):
    data = json.loads((moved.path / bundle.MANIFEST).read_text())
    data["parent"]["digest"] = "../../etc"
    with pytest.raises(ValueError, match="parent must be"):
        type(moved.manifest).from_dict(data)
