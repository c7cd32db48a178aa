"""`fmtool train prepare` and `fmtool train split`, as a user types them."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from fmtool import space

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three volumes on the grid, one of which is listed but is not; tables of fifty empty files."""
    folder = tmp_path_factory.mktemp("cohort")
    mask = np.zeros(space.GRID_SHAPE, np.uint8)
    mask[60:90, 60:90, 60:90] = 1
    nib.save(nib.Nifti1Image(mask, space.grid_affine()), folder / "mask.nii")
    for i in range(2):
        volume = nib.Nifti1Image(mask * np.uint8(i + 2), space.grid_affine())
        nib.save(volume, folder / f"head{i}.nii")
    (folder / "bad.nii").write_text("not an image")
    lines = ["image_path,mask_path", "head0.nii,mask.nii", "bad.nii,mask.nii", "head1.nii,mask.nii"]
    (folder / "scans.csv").write_text("\n".join(lines) + "\n")
    lines = ["image_path,age,sex,iq,site,subject"]
    for i in range(50):
        (folder / f"scan{i}.nii").write_text(f"scan {i}")
        lines.append(f"scan{i}.nii,{20 + i},{'FM'[i % 2]},{90 + i % 7},{'AB'[i // 40]},scan{i}.nii")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    (folder / "iq.toml").write_text(
        'name = "iq"\nkind = "regression"\nunit = "points"\nlabel = "iq"\n'
    )
    return folder


def test_one_bad_scan_is_listed_and_the_others_are_done(fmtool, folder, tmp_path):
    for jobs in (1, 2):
        done = fmtool("train", "prepare", folder / "scans.csv", "--cache", tmp_path, "-j", jobs)
        assert done.returncode == 1
        assert f"{folder / 'scans.csv'} line 3: {folder / 'bad.nii'}" in done.stderr
        assert done.stderr.count("error:") == 1
        assert done.stdout.startswith("2 of 3 scans are prepared in ")
        assert len(list((tmp_path / "volumes").glob("*/volume.npy"))) == 2


def test_a_damaged_entry_is_rebuilt_and_said(fmtool, folder, tmp_path):
    good = folder / "good.csv"
    good.write_text("image_path,mask_path\nhead0.nii,mask.nii\n")
    command = ("train", "prepare", good, "--cache", tmp_path)
    assert fmtool(*command).returncode == 0
    (volume,) = (tmp_path / "volumes").glob("*/volume.npy")
    raw = volume.read_bytes()
    volume.write_bytes(raw[:1000])
    done = fmtool(*command)
    assert done.returncode == 0
    assert "is damaged" in done.stderr
    assert volume.read_bytes() == raw


@pytest.mark.parametrize("task", ["age", "sex", "iq.toml"])
def test_a_split(fmtool, folder, tmp_path, task):
    words = ("train", "split", folder / "labels.csv", "--allow-sites", "--subsets", "0.5")
    done = fmtool(*words, "-t", task, "-o", tmp_path / "s.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "s.json")
    split = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert [len(split["subjects"][part]) for part in ("train", "validation", "test")] == [35, 7, 8]
    assert len(split["subsets"]["0.5"]) == 18
    assert split["task"] == task.removesuffix(".toml")


def test_a_split_by_site(fmtool, folder, tmp_path):
    words = ("train", "split", folder / "labels.csv", "-t", "age", "--test-site", "B")
    done = fmtool(*words, "-o", tmp_path / "s.json")
    assert done.returncode == 0, done.stderr
    assert "2 sites: A, B" in done.stderr
    split = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert sorted(split["subjects"]["test"]) == [f"scan{i}.nii" for i in range(40, 50)]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("-t", "age"), 1, "mixes 2 sites"),
        (("-t", "age", "--allow-sites", "--fractions", "0.7,0.3"), 2, "three numbers"),
        (("-t", "age", "--allow-sites", "--fractions", "a,b,c"), 2, "numbers between commas"),
        (("-t", "age", "--allow-sites", "--fractions", "0.7,0.3,0.3"), 2, "add up to 1"),
        (("-t", "age", "--test-site", "C"), 1, "no site 'C'; it has A, B"),
        (("-t", "absent.toml"), 1, "task file absent.toml does not exist"),
        (("-t", "iq"), 2, "unknown task 'iq'"),
    ],
)
def test_mistakes(fmtool, folder, tmp_path, words, code, said):
    done = fmtool("train", "split", folder / "labels.csv", "-o", tmp_path / "s.json", *words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert not list(tmp_path.iterdir())
