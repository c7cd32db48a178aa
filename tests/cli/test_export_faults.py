"""An export that is killed, or cannot write, leaves what was there, and says why if it can."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fmtool import bundle, files
from fmtool.errors import BundleError

torch = pytest.importorskip("torch")
encoders = pytest.importorskip("training.encoders")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    torch.manual_seed(0)
    return encoders.save_encoder(
        tmp_path_factory.mktemp("encoder") / "e", encoders.build(width=1 / 32), "random"
    )


def kill_at(stage: str, words: list[object]) -> None:
    """Run the command and kill it as soon as it says that it begins with `stage`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fmtool", *map(str, words)],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env={**os.environ, "COLUMNS": "400"},
    )  # fmt: skip
    for line in process.stderr:
        if line.startswith(stage):
            os.kill(process.pid, signal.SIGKILL)
            break
    rest = process.communicate(timeout=300)[1]
    assert process.returncode == -signal.SIGKILL, (line, rest)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["Exporting", "Comparing", "Writing"])
def test_killed_at_any_stage_the_old_bundle_stays_or_the_new_is_whole(encoder, tmp_path, stage):
    target = tmp_path / "mine.fmtool"
    shutil.copytree(bundle.DEMO, target)
    before = bundle.open(target).digest
    kill_at(stage, ["export", encoder, "-o", target, "--batch", "1", "--overwrite"])
    after = bundle.open(target)
    if after.digest != before:  # it was quicker than the signal
        assert stage == "Writing"
        assert after.name == "mine"
    for left in tmp_path.glob(f"{files.SCRATCH}*"):
        with pytest.raises(BundleError):
            bundle.open(left)


@pytest.mark.slow
def test_a_place_that_may_not_be_written_ends_in_a_sentence_before_the_work(fmtool):
    if not Path("/proc/self").exists():
        pytest.skip("no /proc, where nobody may make files")
    done = fmtool("export", "absent", "-o", "/proc/a/b.fmtool")
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write /proc/a/b.fmtool")
    assert done.stderr.count("\n") == 1
    done = fmtool("export", "absent", "-o", "b.fmtool", "--triton", "/proc/a")
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write /proc/a/b")
