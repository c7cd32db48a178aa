"""What is kept of a scan gives every bundle that prepares alike the answer it would have had."""

from __future__ import annotations

import os
import stat
from dataclasses import replace

import numpy as np
import pytest

from fmtool import bundle as bundles
from fmtool.errors import InputError, PreprocessingError
from runtime import prepare as prepare_module
from runtime.batch.tried import is_passing
from runtime.prepare import Preparer, Reading
from runtime.preprocess.pipeline import Preprocessor
from runtime.preprocess.strip import StripNets
from runtime.store import Store, code_digest
from runtime.store import scan as store_scan
from runtime.store.entry import MadeScan
from runtime.store.scan import made_by

BARE = {"prepared", "timings", "seconds"}


@pytest.fixture(scope="module", autouse=True)
def no_networks():
    """What comes prepared is stripped already, and the networks take a second to open."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StripNets, "__enter__", lambda self: self)
        yield


@pytest.fixture(scope="module")
def opened():
    with bundles.open() as bundle:
        yield bundle


@pytest.fixture(scope="module")
def kept(opened, heads, tmp_path_factory):
    """A folder with one scan prepared, and what it was when it was made."""
    folder = tmp_path_factory.mktemp("cache") / "volumes"
    with Preparer(opened, store=Store(folder)) as preparer:
        return folder, preparer(heads / "head-1")


@pytest.fixture
def no_stages(monkeypatch):
    monkeypatch.setattr(Preprocessor, "run", lambda *given: pytest.fail("prepared again"))
    monkeypatch.setattr(StripNets, "__enter__", lambda self: pytest.fail("opened a network"))


def same(one, other):
    np.testing.assert_array_equal(one.prepared.volume, other.prepared.volume)
    np.testing.assert_array_equal(one.prepared.mask, other.prepared.mask)
    np.testing.assert_array_equal(one.prepared.transform, other.prepared.transform)
    assert str(one.prepared.facts) == str(other.prepared.facts)  # a NaN is no NaN's equal
    for name in set(vars(one)) - BARE:
        assert str(vars(one)[name]) == str(vars(other)[name]), name


def test_another_bundle_takes_what_one_has_prepared(kept, opened, heads, no_stages):
    folder, made = kept
    with Preparer(replace(opened, digest="another"), store=Store(folder)) as preparer:
        same(preparer(heads / "head-1"), made)


def test_it_is_what_is_prepared_without_a_store(kept, opened, heads):
    with Preparer(opened) as preparer:
        same(preparer(heads / "head-1"), kept[1])


def test_the_checks_are_those_of_the_bundle_that_answers(kept, opened, heads, no_stages):
    narrow = {**opened.manifest.calibration, "brain_volume_ml": [1.0, 2.0]}
    other = replace(opened, manifest=replace(opened.manifest, calibration=narrow))
    with Preparer(other, store=Store(kept[0])) as preparer:
        said = {check.name: check.verdict for check in preparer(heads / "head-1").checks}
    usual = {check.name: check.verdict for check in kept[1].checks}
    assert [name for name in usual if usual[name] != said[name]]


def test_another_file_of_the_same_bytes_is_called_by_its_own_name(
    kept, opened, heads, tmp_path, no_stages
):
    copy = tmp_path / "elsewhere"
    copy.symlink_to(heads / "head-1")
    with Preparer(opened, store=Store(kept[0])) as preparer:
        assert preparer(copy).scan == str(copy / "normalized.nii.gz")


def test_who_wants_the_head_in_its_own_space_has_it_prepared(kept, opened, heads):
    with Preparer(opened, store=Store(kept[0])) as preparer:
        assert preparer(heads / "head-1", whole=True).prepared.corrected.size > 0


@pytest.mark.skipif(os.name != "posix", reason="modes say nothing there")
def test_it_is_its_owners_alone_and_names_no_file(kept):
    (entry,) = (path for path in kept[0].iterdir() if (path / "facts.json").exists())
    assert stat.S_IMODE(kept[0].stat().st_mode) == stat.S_IMODE(entry.stat().st_mode) == 0o700
    for file in entry.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert b"head-1" not in file.read_bytes()


def test_a_refusal_is_the_same_from_the_store(kept, opened, heads, no_stages, monkeypatch):
    monkeypatch.setattr(
        prepare_module.quality,
        "checks",
        lambda *given: [replace(kept[1].checks[0], verdict="refuse", sentence="It is odd.")],
    )
    with (
        Preparer(opened, store=Store(kept[0])) as preparer,
        pytest.raises(PreprocessingError, match=r"head-1.*is refused: It is odd\."),
    ):
        preparer(heads / "head-1")


def test_all_that_decides_is_in_the_name(opened, monkeypatch):
    manifest = opened.manifest
    found = [made_by(opened, "whole"), made_by(opened, series="3"), made_by(opened, "auto", True)]
    for name in (manifest.strip.locate, manifest.strip.segment, manifest.template):
        files = {**manifest.files, name: replace(manifest.files[name], sha256="0" * 64)}
        found.append(made_by(replace(opened, manifest=replace(manifest, files=files))))
    usual = made_by(opened)
    assert usual == made_by(replace(opened, digest="another"))
    assert usual == made_by(opened, Reading().skull, Reading().assume_ras, Reading().series)
    monkeypatch.setattr(code_digest, "installed", lambda: "other code")
    found.append(made_by(opened))
    monkeypatch.undo()
    monkeypatch.setattr(store_scan.strip, "library", lambda: "another engine 1.0")
    found.append(made_by(opened))
    assert len({tuple(one) for one in (usual, *found)}) == 9


def test_a_scan_that_is_written_to_while_it_is_read_is_not_kept(tmp_path):
    scan = tmp_path / "a.nii"
    scan.write_text("one")

    def make():
        scan.write_text("another")
        return MadeScan(np.zeros((2, 2, 2), np.float32), np.zeros((2, 2, 2), bool), {})

    with pytest.raises(InputError, match="was written to while it was read") as raised:
        Store(tmp_path / "store").get(scan, (), make)
    assert is_passing(raised.value)
    assert not list((tmp_path / "store").glob("*/facts.json"))
