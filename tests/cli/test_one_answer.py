"""The same scan has one answer by every way in, with any number of threads and workers."""

from __future__ import annotations

import gzip
import json
import shutil
import signal
import subprocess
import sys
import time

import pytest

import fmtool as face

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

CLOSE = 1e-4
"""Of a value: what float32 sums in other parts differ by. Skull stripping once moved it by 1e-3."""


def values(result):
    return {name: value["value"] for name, value in result["values"].items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, whole_head):
    """Two names of one whole head, so that a batch has two workers."""
    inbox = tmp_path_factory.mktemp("inbox")
    shutil.copy(whole_head, inbox / "sub-1_T1w.nii.gz")
    packed = gzip.compress(gzip.decompress(whole_head.read_bytes()), 1)  # other bytes
    (inbox / "sub-2_T1w.nii.gz").write_bytes(packed)
    return inbox


@pytest.fixture(scope="module")
def alone(fmtool, folder):
    """What `fmtool predict` says, on all cores."""
    done = fmtool("predict", folder / "sub-1_T1w.nii.gz", "--json", "--precision", "float32")
    assert done.returncode == 0, done.stderr
    return values(json.loads(done.stdout)[0])


def check(found, alone):
    assert found == pytest.approx(alone, rel=CLOSE, abs=CLOSE)


@pytest.mark.parametrize("threads", [1, 2])
def test_with_any_number_of_threads(fmtool, folder, alone, threads):
    words = ("--json", "--precision", "float32", "--threads", threads)
    done = fmtool("predict", folder / "sub-1_T1w.nii.gz", *words)
    if "at most" in done.stderr:
        pytest.skip("this machine has fewer cores")
    check(values(json.loads(done.stdout)[0]), alone)


def test_in_a_batch(fmtool, folder, alone, tmp_path):
    done = fmtool("predict", folder, "--out", tmp_path, "--precision", "float32")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert len(lines) == 2
    for line in lines:
        check(values(json.loads(line)), alone)


def test_from_what_another_batch_has_kept(fmtool, folder, alone, tmp_path):
    found = []
    for out in (tmp_path / "first", tmp_path / "second"):
        words = ("--out", out, "--cache", tmp_path / "cache", "--precision", "float32")
        assert fmtool("predict", folder, *words).returncode == 0
        lines = (out / "results.jsonl").read_text().splitlines()
        found.append([json.loads(line) for line in lines])
    for first, second in zip(*found, strict=True):
        check(values(second), alone)
        assert "strip" in first["timings"]
        assert "strip" not in second["timings"]
        for bare in (first, second):
            del bare["timings"], bare["finished"]
        assert first == second


def test_from_python_as_a_file_and_as_a_scan(folder, alone):
    from runtime import scan

    path = folder / "sub-1_T1w.nii.gz"
    with face.Predictor(wish=face.Wish(precision="float32")) as predictor:
        for source in (path, scan.read(path)):
            check(values(predictor.predict(source).to_dict()), alone)


def test_in_a_watched_folder(folder, alone, tmp_path):
    inbox, out = tmp_path / "in", tmp_path / "out"
    inbox.mkdir()
    shutil.copy(folder / "sub-1_T1w.nii.gz", inbox)
    words = ("watch", inbox, "--out", out, "--settle", "0.5")
    process = subprocess.Popen([sys.executable, "-m", "fmtool", *map(str, words)])
    try:
        found = out / "sub-1_T1w" / "result.json"
        end = time.monotonic() + 900
        while not found.exists() and time.monotonic() < end and process.poll() is None:
            time.sleep(0.2)
        result = json.loads(found.read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
    if "float32" in result["engine"]:
        check(values(result), alone)
    else:  # the machine's fastest: how far that is from float32, its self-test bounds
        assert values(result).keys() == alone.keys()
