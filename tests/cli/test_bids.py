"""`fmtool bids`: the App as a user runs it; its derivatives as other people's programs read them.

`pip install bids-validator-deno pybids` for the two that are not of this project's own.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from runtime.bids.validator import PROGRAM

slow = pytest.mark.slow


def described(folder, **more):
    folder.mkdir(parents=True, exist_ok=True)
    told = {"Name": "raw", "BIDSVersion": "1.10.0", "DatasetType": "raw", "License": "CC0", **more}
    (folder / "dataset_description.json").write_text(json.dumps(told))
    (folder / "README.md").write_text("Heads that were made for a test.\n")


@pytest.fixture(scope="module")
def raw(tmp_path_factory, prepared_head):
    """Two sessions of one head that lies turned by 12 degrees, and a file that is no scan."""
    top = tmp_path_factory.mktemp("bids") / "raw"
    described(top)
    image = nib.load(prepared_head / "normalized.nii.gz")
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("zx", [12, -5], degrees=True).as_matrix()
    turn[:3, 3] = [4, -7, 9]
    place = turn @ image.affine @ nib.affines.from_matvec(np.eye(3), [5, 5, 0])
    array = np.asarray(image.dataobj)[5:-5, 5:-5, :-5]
    for session in ("1", "2"):
        folder = top / f"sub-01/ses-{session}/anat"
        folder.mkdir(parents=True)
        moved = nib.Nifti1Image(array, place)
        moved.header.set_xyzt_units("mm")
        nib.save(moved, folder / f"sub-01_ses-{session}_T1w.nii.gz")
    (top / "sub-02/anat").mkdir(parents=True)
    (top / "sub-02/anat/sub-02_T1w.nii.gz").write_bytes(b"no scan")
    return top


@pytest.fixture(scope="module")
def done(fmtool, raw):
    """The participant level, run once; the derivatives and what was said."""
    out = raw.parent / "out"
    words = ("bids", raw, out, "participant", "--skip-bids-validation")
    said = fmtool(*words)
    assert said.returncode == 1, said.stderr  # sub-02 fails
    return out, said, words


@slow
def test_it_is_resumed_and_what_was_lost_is_made_again(fmtool, done):
    out, said, words = done
    assert "2 done, 1 failed, 0 left" in said.stderr
    again = fmtool(*words, "--participant_label", "sub-01", "--session-label", "1", "2")
    assert again.returncode == 0, again.stderr
    assert "2 scans, 2 settled before" in again.stderr
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.count("<tr data-verdict") == 2  # of those asked for
    (lost,) = out.glob("sub-01/ses-1/anat/*_mask.nii.gz")
    before = lost.read_bytes()
    lost.unlink()
    third = fmtool(*words, "--n-cpus", "1", "--mem-mb", "2000", "--session-label", "1")
    assert third.returncode == 0, third.stderr
    assert "1 scans, 0 settled before" in third.stderr
    assert lost.read_bytes() == before


@slow
def test_ants_applies_the_transform_as_fmtool_does(done, raw):
    ants = pytest.importorskip("ants", reason="antspyx is absent")
    out, _, _ = done
    (anat,) = out.glob("sub-01/ses-1/anat")
    (grid,), (mask,), (way,) = (
        list(anat.glob(f"*{end}"))
        for end in ("desc-preproc_T1w.nii.gz", "_mask.nii.gz", "_xfm.txt")
    )
    moved = ants.apply_transforms(
        ants.image_read(str(grid)),
        ants.image_read(str(raw / "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz")),
        [str(way)],
    ).numpy()
    inside = np.asarray(nib.load(mask).dataobj) > 0
    ours = np.asarray(nib.load(grid).dataobj)
    alike = {
        shift: np.corrcoef(moved[inside], np.roll(ours, shift, (0, 1, 2))[inside])[0, 1]
        for shift in [
            (0, 0, 0),
            (1, 0, 0),
            (-1, 0, 0),
            (0, 1, 0),
            (0, -1, 0),
            (0, 0, 1),
            (0, 0, -1),
        ]
    }
    assert max(alike, key=alike.get) == (0, 0, 0), alike
    assert alike[0, 0, 0] > 0.95


@slow
def test_the_official_validator_finds_no_error(fmtool, done, raw):
    beside = Path(sys.executable).parent / PROGRAM
    program = shutil.which(PROGRAM) or (str(beside) if beside.exists() else None)
    if program is None:
        pytest.skip(f"{PROGRAM} is not installed: pip install {PROGRAM}")
    out, _, _ = done
    assert fmtool("bids", raw, out, "group").returncode == 0
    checked = subprocess.run([program, "--json", str(out)], capture_output=True, check=False)
    issues = json.loads(checked.stdout)["issues"]["issues"]
    assert [i for i in issues if i["code"] != "TOO_FEW_AUTHORS"] == []


@slow
def test_pybids_reads_the_entities(done):
    bids = pytest.importorskip("bids", reason="pybids is absent: pip install pybids")
    out, _, _ = done
    layout = bids.BIDSLayout(out, validate=False, is_derivative=True)
    (found,) = layout.get(subject="01", session="1", suffix="T1w", extension=".nii.gz")
    told = found.get_entities()
    assert (told["space"], told["desc"]) == ("MNI152NLin2009cSym", "preproc")
    assert str(told["resolution" if "resolution" in told else "res"]) == "1"
    assert found.get_metadata()["SkullStripped"] is True
    (mask,) = layout.get(session="2", suffix="mask", extension=".nii.gz")
    assert mask.get_entities()["desc"] == "brain"
    (way,) = layout.get(session="1", suffix="xfm", extension=".txt")
    assert way.get_entities()["mode"] == "image"
    assert (way.get_entities()["from"], way.get_entities()["to"]) == ("T1w", "MNI152NLin2009cSym")


@slow
def test_the_group_table_tells_of_every_scan(fmtool, done, raw):
    out, _, _ = done
    group = fmtool("bids", raw, out, "group")
    assert group.returncode == 0, group.stderr
    with (out / "group_predictions.tsv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    assert [row["participant_id"] for row in rows] == ["sub-01", "sub-01", "sub-02"]


@slow
def test_an_invalid_data_set_is_refused_before_any_work(fmtool, tmp_path, monkeypatch, raw):
    program = tmp_path / PROGRAM
    issues = {"issues": {"issues": [{"code": "ODD", "severity": "error", "location": "/x"}]}}
    program.write_text(f"#!/bin/sh\necho '{json.dumps(issues)}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    refused = fmtool("bids", raw, tmp_path / "out", "participant")
    assert refused.returncode == 1
    assert "ODD /x" in refused.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("participants",), "participant"),
        (("participant", "--participant-label", "09"), "sub-09"),
        (("participant", "--session_label", "x!"), "no label"),
        (("group", "--bids-filter-file", "absent.json"), "absent.json"),
    ],
)
def test_words_that_are_wrong_are_told(fmtool, tmp_path, words, said):
    described(tmp_path / "raw")
    (tmp_path / "raw/sub-01/anat").mkdir(parents=True)
    (tmp_path / "raw/sub-01/anat/sub-01_T1w.nii.gz").touch()
    done = fmtool("bids", tmp_path / "raw", tmp_path / "out", *words)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert not (tmp_path / "out").exists()
