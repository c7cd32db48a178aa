"""The three commands of a project: what they lack, what they say, and that a kill loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from fmtool import bundle

PROJECT = 'name = "brains"\ncohort = "heads"\ntasks = ["age"]\n'


@pytest.mark.parametrize(
    ("verb", "otherwise"),
    [("train", "`fmtool train --help`"), ("export", "say ENCODER and --out")],
)
def test_without_a_project_two_lines_say_what_is_needed(fmtool, tmp_path, verb, otherwise):
    pytest.importorskip("torch")
    done = fmtool(verb, cwd=tmp_path)
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert (
        first
        == f"error: `fmtool {verb}` does what a project says, and there is no fmtool.toml here"
    )
    assert "fmtool init COHORT" in second
    assert otherwise in second
    assert list(tmp_path.iterdir()) == []


def test_predict_without_the_bundle_of_its_project(fmtool, tmp_path):
    (tmp_path / "fmtool.toml").write_text(PROJECT)
    done = fmtool("predict", "scan.nii.gz", "--task", "age", cwd=tmp_path)
    assert done.returncode == 1
    assert "brains.fmtool is not there yet: `fmtool train`, then `fmtool export`" in done.stderr
    done = fmtool("predict", "scan.nii.gz", "--project", tmp_path / "none")
    assert done.returncode == 1
    assert "holds no fmtool.toml" in done.stderr


@pytest.mark.slow
def test_predict_takes_the_bundle_of_its_project_and_says_so(fmtool, tmp_path, prepared_head):
    (tmp_path / "fmtool.toml").write_text(PROJECT)
    (tmp_path / "brains.fmtool").symlink_to(bundle.DEMO)
    done = fmtool("predict", prepared_head, "--task", "age", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Bundle: brains.fmtool, of the project fmtool.toml" in done.stderr
    assert list(json.loads(done.stdout)[0]["values"]) == ["age"]
    named = fmtool("predict", prepared_head, "--bundle", bundle.DEMO, cwd=tmp_path)
    assert named.returncode == 0, named.stderr
    assert "project" not in named.stderr


@pytest.mark.slow
def test_what_excludes_each_other(fmtool, tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "fmtool.toml").write_text(PROJECT)
    done = fmtool("export", "encoder", "--project", tmp_path)
    assert (done.returncode, "leave one out" in done.stderr) == (2, True)
    done = fmtool("export", "encoder", cwd=tmp_path)
    assert (done.returncode, "--out NAME.fmtool" in done.stderr) == (2, True)
    done = fmtool("train", "--project", tmp_path, "synth", "heads", "-n", 1, "--seed", 1)
    assert (done.returncode, "not with `fmtool train synth`" in done.stderr) == (2, True)
    done = fmtool("export", cwd=tmp_path)
    assert done.returncode == 1
    assert "is not there yet: `fmtool train` makes what is missing" in done.stderr


def killed_when(folder, there, *words):
    """Start a command, kill it once what `there` names exists; whether it was still running."""
    log = folder / "killed.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "fmtool", *words],
            cwd=folder,
            stdout=stream,
            stderr=stream,
            env={**os.environ, "XDG_CACHE_HOME": str(folder / "xdg")},
        )
        while not list(folder.glob(there)):
            assert process.poll() is None, log.read_text()
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_three_commands_killed_at_every_step_end_with_a_prediction(fmtool, tmp_path):
    pytest.importorskip("lightning")
    made = fmtool("train", "synth", "heads", "-n", 12, "--seed", 1, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    begun = fmtool("init", cwd=tmp_path)
    assert begun.returncode == 0, begun.stderr
    for there in (
        ".cache/fmtool/volumes/*/facts.json",
        "runs/pretrain/checkpoints/step-*",
        "runs/pretrain/encoder",
        "runs/heads/age.json",
    ):
        assert killed_when(tmp_path, there, "train"), f"it ended before {there} was seen"
    done = fmtool("train", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "pretrain: done already" in done.stderr
    assert killed_when(tmp_path, "runs/export.json", "export", "--fp16")
    done = fmtool("export", "--fp16", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    again = fmtool("export", "--fp16", cwd=tmp_path)
    assert "done already" in again.stderr
    assert again.stdout.splitlines()[:2] == done.stdout.splitlines()[:2]
    scan = next(tmp_path.glob("heads/sub-*/anat/*_T1w.nii.gz"))
    answer = fmtool("predict", scan, "--task", "age", "--json", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)[0]["values"]["age"]["unit"] == "years"
    assert f"{tmp_path.name}.fmtool, of the project fmtool.toml" in answer.stderr
