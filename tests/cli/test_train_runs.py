"""Trainings as a user runs them: killed, stopped, resumed, and all the way to a bundle."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("torch")
pytest.importorskip("lightning")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TINY = ("--view", 16, 16, 16, "--min-crop", 60, 80, 80, "--width", 1 / 32, "--batch", 4)


@pytest.fixture(scope="module")
def cohort(fmtool, tmp_path_factory):
    """Twenty synthetic heads on the model's grid, and the folder that holds them prepared."""
    folder = tmp_path_factory.mktemp("synthetic")
    done = fmtool("train", "synth", folder / "heads", "-n", 20, "--seed", 1, "--prepared")
    assert done.returncode == 0, done.stderr
    table = folder / "heads" / "cohort.csv"
    done = fmtool("train", "prepare", table, "--cache", folder / "cache")
    assert done.returncode == 0, done.stderr
    return table, folder / "cache"


def words(cohort, out, epochs=12):
    table, cache = cohort
    options = ("--epochs", epochs, "--cache", cache, "--checkpoint-every", 1, "--device", "cpu")
    return ("train", "simclr", table, "-o", out, *options, *TINY)


def sha256(folder):
    return hashlib.sha256((folder / "encoder" / "encoder.safetensors").read_bytes()).hexdigest()


def start(*command):
    return subprocess.Popen(
        [sys.executable, "-m", "fmtool", *map(str, command)], stderr=subprocess.PIPE, text=True
    )


def test_killed_and_resumed_is_as_never_killed(fmtool, cohort, tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert fmtool(*words(cohort, whole)).returncode == 0
    process = start(*words(cohort, run))
    while not list(run.glob("checkpoints/step-*")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    time.sleep(random.uniform(0.0, 0.5))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (run / "encoder").exists(), "it ended before it was killed"

    done = fmtool(*words(cohort, run))
    assert done.returncode == 1
    assert "holds a run already; go on with --resume" in done.stderr
    done = fmtool(*words(cohort, run), "--resume")
    assert done.returncode == 0, done.stderr
    assert sha256(run) == sha256(whole)


def test_sigterm_keeps_a_checkpoint_and_says_how_to_go_on(fmtool, cohort, tmp_path):
    process = start(*words(cohort, tmp_path / "run", epochs=100_000))
    while not list((tmp_path / "run").glob("checkpoints/step-*")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "go on with --resume" in said
    assert "Traceback" not in said
    assert not (tmp_path / "run" / "encoder").exists()


def test_from_pretraining_to_a_bundle(fmtool, cohort, tmp_path):
    table, cache = cohort
    shared = ("--cache", cache, "--device", "cpu", "--epochs", 2, "--batch", 4)
    split = tmp_path / "split.json"
    done = fmtool(
        "train", "split", table, "--task", "age", "-o", split, "--fractions", "0.3,0.1,0.6"
    )
    assert done.returncode == 0, done.stderr
    done = fmtool(*words(cohort, tmp_path / "simclr", epochs=2))
    assert done.returncode == 0, done.stderr
    assert "--split leaves those out" in done.stderr
    done = fmtool(*words(cohort, tmp_path / "apart", epochs=2), "--split", split)
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "apart" / "encoder" / "encoder.json").read_text("utf-8"))
    assert len(facts["exposure"]["subjects"]) == 6
    assert facts["exposure"]["labelled_subjects"] == []
    small = ("--input", 32, 40, 40)
    done = fmtool(
        "train", "finetune", table, "--task", "age", "--split", split, *small, *shared,
        "--encoder", tmp_path / "simclr" / "encoder", "-o", tmp_path / "finetune",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    head = json.loads((tmp_path / "finetune" / "head.json").read_text(encoding="utf-8"))
    assert head["evidence"]["input_shape"] == [32, 40, 40]
    assert head["evidence"]["how"] == "held-out test"
    seen = {"images": 12, "labels": 0, "of": 12, "complete": True}
    assert head["evidence"]["exposure"] == seen
    assert "had seen the images of 12 of these" in " ".join(done.stdout.split())
    again = fmtool(
        "train", "probe", table, "--task", "age", "--encoder", tmp_path / "finetune" / "encoder",
        "--cache", cache, "-o", tmp_path / "leaky.json",
    )  # fmt: skip
    assert again.returncode == 1
    assert "the labels of 8 of the 20 subjects of the table have trained this" in again.stderr
    assert not (tmp_path / "leaky.json").exists()

    done = fmtool(
        "export", tmp_path / "finetune" / "encoder",
        "--head", tmp_path / "finetune" / "head.json", "-o", tmp_path / "age.fmtool",
    )  # fmt: skip
    assert done.returncode == 1
    assert "was trained on scans resized to 32x40x40" in done.stderr

    done = fmtool(
        "train", "supervised", table, "--task", "age", "--split", split, *small, *shared,
        "--width", 1 / 32, "-o", tmp_path / "supervised",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = fmtool(
        "train", "mae", table, "--width", 1 / 8, "--input", 30, 32, 32, *shared,
        "-o", tmp_path / "mae",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "mae" / "encoder" / "encoder.json").read_text(encoding="utf-8"))
    assert facts["architecture"] == "vit_tiny"


def test_several_tasks_train_one_encoder_though_labels_are_missing(fmtool, cohort, tmp_path):
    table, cache = cohort
    (tmp_path / "gap.toml").write_text(
        'name = "gap"\nkind = "regression"\nunit = "years"\nlabel = "gap"\n'
    )
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    both, split = table.with_name("both.csv"), tmp_path / "split.json"
    parted = ("train", "split", both, "-o", split, "--fractions", "0.3,0.1,0.6")

    def write(without=()):
        with both.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, [*rows[0], "gap"])
            writer.writeheader()
            for i, row in enumerate(rows):
                absent = any(subject in row["image_path"] for subject in without)
                writer.writerow(row | {"gap": "" if absent else i - 10})

    write()
    done = fmtool(*parted)
    assert done.returncode == 0, done.stderr
    write(without=json.loads(split.read_text())["subjects"]["train"][:2])
    split.unlink()
    assert fmtool(*parted).returncode == 0
    words = (
        "train", "supervised", both, "--task", "age", "--task", tmp_path / "gap.toml",
        "--input", 32, 40, 40, "--width", 1 / 32, "--cache", cache, "--device", "cpu",
        "--epochs", 2, "--batch", 4, "-o", tmp_path / "run",
    )  # fmt: skip
    done = fmtool(*words, "--split", split)
    assert done.returncode == 0, done.stderr
    heads = [
        json.loads((tmp_path / "run" / "heads" / f"{name}.json").read_text())
        for name in ("age", "gap")
    ]
    assert [head["evidence"]["n"] for head in heads] == [12, 12]
    assert [head["sample"]["n"] for head in heads] == [6, 4]
    assert heads[0]["encoder_sha256"] == heads[1]["encoder_sha256"]
    assert (tmp_path / "run" / "encoder").is_dir()
    again = fmtool(*words, "--split", split, "--resume")
    assert again.returncode == 0, again.stderr
    of_age = tmp_path / "age.json"
    named = ("train", "split", both, "--task", "age", "-o", of_age, "--fractions", "0.3,0.1,0.6")
    assert fmtool(*named).returncode == 0
    done = fmtool(*words[:-1], tmp_path / "other", "--split", of_age)
    assert done.returncode == 2
    assert "`fmtool train split` without --task" in done.stderr


def test_two_processes_train_one_encoder(fmtool, cohort, tmp_path):
    done = fmtool(*words(cohort, tmp_path / "run", epochs=2), "--devices", 2)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "encoder").is_dir()
    assert done.stdout.strip() == str(tmp_path / "run" / "encoder")
    assert len(list((tmp_path / "run").glob("tensorboard/events.*"))) == 1
    assert os.listdir(tmp_path) == ["run"]


def test_what_is_missing_is_said(fmtool, cohort, tmp_path):
    table, cache = cohort
    done = fmtool("train", "supervised", table, "--task", "age", "-o", tmp_path, "--cache", cache)
    assert done.returncode == 2
    assert "--split FILE" in done.stderr
    done = fmtool(*words(cohort, tmp_path / "run"), "--device", "cuda")
    assert done.returncode == 3
    assert "1 CUDA devices are asked for and 0 are there" in done.stderr
