"""The soak's inputs and its judgement: each kind of damage is one, and a lost study is noticed."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from benchmarks.soak import run
from benchmarks.soak.run import Feed, check
from fmtool.errors import InputError
from runtime import scan
from runtime.ledger import Ledger
from runtime.service.watch.look import look


@pytest.fixture
def head():
    """An uncompressed NIfTI-1 file of a little noise."""
    voxels = np.random.default_rng(0).normal(100, 10, (24, 24, 24)).astype(np.float32)
    return nib.Nifti1Image(voxels, np.diag([8.0, 8.0, 8.0, 1.0])).to_bytes()


@pytest.mark.parametrize("kind", list(run.KINDS))
def test_every_kind_of_damage_is_refused(kind, head, tmp_path):
    path = tmp_path / "bad.nii"
    run.KINDS[kind](path, head)
    if not look(path).refused:
        with pytest.raises(InputError):
            scan.read(path)


def test_every_tenth_input_is_corrupt_and_every_good_one_differs(head, tmp_path):
    feed = Feed(tmp_path, [head])
    for _ in range(40):
        feed.one()
    assert (len(feed.good), len(feed.bad)) == (36, 4)
    assert len({(tmp_path / name).read_bytes() for name in feed.good}) == 36
    first = scan.read(tmp_path / feed.good[0])
    assert np.array_equal(first.array, scan.read(tmp_path / feed.good[-1]).array)


def test_what_is_lost_is_noticed(head, tmp_path):
    inbox, out = tmp_path / "in", tmp_path / "out"
    inbox.mkdir()
    out.mkdir()
    feed = Feed(inbox, [head], ["a.nii"], {"bad.nii": "NaN"})
    data = {"values": {"age": {"value": 40.0}}}
    with Ledger(out / "ledger.sqlite") as ledger:
        ledger.add("a.nii", "c" * 64, "b", {})
    said = check(feed, out)
    assert (said["answered"], len(said["problems"])) == (0, 3)
    (out / "a").mkdir()
    (out / "a" / "result.json").write_text(json.dumps(data))
    (out / "quarantine" / "bad").mkdir(parents=True)
    (out / "quarantine" / "bad" / "reason.txt").write_text("it holds NaN\n")
    problems = check(feed, out)["problems"]
    assert len(problems) == 1
    assert "ledger" in problems[0]
