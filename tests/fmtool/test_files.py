"""A folder is put in its place in one step: whoever is killed, no half is taken for whole."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fmtool import bundle, files
from fmtool.bundle import write as bundle_write
from fmtool.bundle.manifest import Manifest
from fmtool.errors import BundleError

TOLD = {
    "name": "toy", "encoder": {"features": 4}, "tasks": [], "model": {"float32": "model.onnx"},
    "strip": {"locate": "a.onnx", "segment": "b.onnx"}, "template": "template.nii.gz",
    "self_test": {"outputs": {}, "tolerance": {}}, "files": {},
}  # fmt: skip
MANIFEST = Manifest.from_dict(TOLD)

CHILD = """
import os, resource, signal, sys
from pathlib import Path
from fmtool import files
from fmtool.bundle import write as bundle_write
from fmtool.bundle.manifest import Manifest
from fmtool.errors import BundleError

stage, target, source = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])

def die(*words):
    os.kill(os.getpid(), signal.SIGKILL)

def half(source, target):
    Path(target).write_bytes(Path(source).read_bytes()[:7])
    die()

def half_text(path, text, **options):
    path.write_bytes(text.encode()[:40])
    die()

def put_and_die(staged, target, put=files.put):
    put(staged, target)
    die()

def move_and_die(path, target, rename=Path.rename):
    rename(path, target)
    die()

if stage == "copying":
    bundle_write.shutil.copyfile = half
if stage == "manifest":
    Path.write_text = half_text
if stage == "before":
    files.put = die
if stage == "after":
    files.put = put_and_die
if stage == "between":  # where two folders cannot be exchanged
    files._exchange = lambda one, other: False
    Path.rename = move_and_die
if stage == "too large":
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    files = {"model.onnx": source, "card.md": b"new"}
    bundle_write.write(target, Manifest.from_dict(TOLD), files, overwrite=True)
except BundleError as error:
    sys.exit(str(error))
""".replace("TOLD", json.dumps(TOLD))


@pytest.fixture
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "model.onnx"
    path.write_bytes(bytes(range(256)) * 40)
    return path


def run(stage, target, source):
    words = [sys.executable, "-c", CHILD, stage, target, source]
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)


def opens(path):
    try:
        return bundle.open(path).digest
    except BundleError:
        return None


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("stage", ["copying", "manifest", "before", "after"])
def test_a_killed_writer_leaves_the_old_bundle_or_the_new_one(tmp_path, source, stage, there):
    target = tmp_path / "toy.fmtool"
    contents = {"model.onnx": source, "card.md": b"new"}
    new = bundle_write.write(tmp_path / "reference" / "toy.fmtool", MANIFEST, contents).digest
    old = bundle_write.write(target, MANIFEST, {"model.onnx": b"old"}).digest if there else None
    assert run(stage, target, source).returncode == -signal.SIGKILL
    assert opens(target) == (new if stage == "after" else old)
    for left in tmp_path.glob(f"{files.SCRATCH}*"):
        assert opens(left) is None
        assert not list(left.glob("*.fmtool"))
        assert opens(left / files.STAGED) in (None, old, new)  # whole, or no bundle
    assert run("", target, source).returncode == 0
    assert opens(target) == new


def test_without_an_exchange_a_crash_leaves_the_old_one_beside_the_new(tmp_path, source):
    target = tmp_path / "toy.fmtool"
    old = bundle_write.write(target, MANIFEST, {"model.onnx": b"old"}).digest
    assert run("between", target, source).returncode == -signal.SIGKILL
    (left,) = tmp_path.glob(f"{files.SCRATCH}*")
    assert not target.exists()
    assert opens(left / "old") == old
    assert opens(left / files.STAGED) is not None


def test_a_file_that_the_system_does_not_take_is_one_sentence(tmp_path, source):
    target = tmp_path / "toy.fmtool"
    done = run("too large", target, source)
    assert done.returncode == 1
    assert done.stderr.startswith(f"cannot write {target} (File too large")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_sentence_and_keeps_the_old_bundle(tmp_path, source, monkeypatch):
    target = tmp_path / "toy.fmtool"
    old = bundle_write.write(target, MANIFEST, {"model.onnx": b"old"}).digest

    def full(source, target):
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    monkeypatch.setattr(bundle_write.shutil, "copyfile", full)
    with pytest.raises(BundleError, match=r"No space left .* free some .* nothing was written"):
        bundle_write.write(target, MANIFEST, {"model.onnx": source}, overwrite=True)
    assert opens(target) == old
    assert list(tmp_path.iterdir()) == [target]


def folders(tmp_path):
    staged, target = tmp_path / "staged", tmp_path / "target"
    for path in (staged, target):
        path.mkdir()
        (path / "name").write_text(path.name)
    return staged, target


def test_two_folders_are_exchanged(tmp_path):
    staged, target = folders(tmp_path)
    files.put(staged, target)
    assert (target / "name").read_text(encoding="utf-8") == "staged"
    if sys.platform == "linux":
        assert (staged / "name").read_text(encoding="utf-8") == "target"


def test_where_they_cannot_be_the_old_one_moves_away_first(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    staged, target = folders(tmp_path)
    files.put(staged, target)
    assert (target / "name").read_text(encoding="utf-8") == "staged"
    assert (tmp_path / "old" / "name").read_text(encoding="utf-8") == "target"


def test_the_old_one_comes_back_where_the_new_one_cannot_be_put(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    _, target = folders(tmp_path)
    with pytest.raises(FileNotFoundError):
        files.put(tmp_path / "absent", target)
    assert (target / "name").read_text(encoding="utf-8") == "target"


def test_an_exchange_that_fails_says_why(tmp_path):
    staged, target = folders(tmp_path)
    if sys.platform != "linux":
        pytest.skip("folders are exchanged on Linux only")
    with pytest.raises(FileNotFoundError):
        files._exchange(tmp_path / "absent", target)
    assert files._exchange(staged, target)


def test_a_place_that_may_not_be_written_is_found_before_the_work():
    if not Path("/proc/self").exists():
        pytest.skip("no /proc, where nobody may make files")
    with pytest.raises(BundleError, match=r"cannot write /proc/a/b\.fmtool"):
        bundle_write.claim("/proc/a/b.fmtool")
