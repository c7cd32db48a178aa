"""The cache under attack: killed, full, damaged, outdated, and used by two at once."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fmtool.errors import InputError
from runtime.engines.cache import ensure, store
from runtime.engines.cache.key import Key

KEY = Key("d1g", "rtx", "1.7.1", "sm89", "float16", (1, 1, 1))

CHILD = """
import os, sys, time
from pathlib import Path
from runtime.system import atomic
from runtime.engines.cache.ensure import ensure
from runtime.engines.cache.key import Key
folder, where = Path(sys.argv[1]), sys.argv[2]
def stop(*_):
    (folder / "reached").touch()
    time.sleep(60)
def make():
    with (folder / "builds").open("a") as log:
        log.write("built\\n")
    if where == "build":
        stop()
    time.sleep(0.5 if where == "end" else 0)
    return b"engine of the child", {"seconds": 0.5}
if where == "write":
    os.fsync = stop
if where == "between":
    real = atomic.write_bytes
    atomic.write_bytes = lambda path, data: (stop if path.suffix == ".json" else real)(path, data)
key = Key("d1g", "rtx", "1.7.1", "sm89", "float16", (1, 1, 1))
print(ensure(folder, key, make, lambda said: print(said, file=sys.stderr)))
"""


def child(folder: Path, where: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", CHILD, str(folder), where]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_at(folder: Path, where: str) -> None:
    process = child(folder, where)
    deadline = time.monotonic() + 60
    while not (folder / "reached").exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


class Maker:
    """Builds, and counts."""

    def __init__(self, data=b"engine"):
        self.data, self.calls, self.said = data, 0, []

    def __call__(self):
        self.calls += 1
        return self.data, {"seconds": 1.0}

    def ensure(self, folder, key=KEY):
        return ensure.ensure(folder, key, self, self.said.append)


def names(folder):
    return sorted(p.name for p in (folder / "d1g").iterdir() if p.suffix != ".lock")


def test_built_once_and_then_found(tmp_path):
    maker = Maker()
    path = maker.ensure(tmp_path)
    assert maker.ensure(tmp_path) == path
    assert (maker.calls, maker.said) == (1, ["Building the TensorRT-RTX engine for sm89"])
    assert path.read_bytes() == b"engine"
    assert names(tmp_path) == [KEY.name, f"{KEY.name}.json"]


@pytest.mark.parametrize("where", ["build", "write", "between"])
@pytest.mark.parametrize("before", [False, True])
def test_killed(tmp_path, where, before):
    """In the build, in the middle of writing the engine, and between the engine and its JSON."""
    if before:  # an engine of an older version is to be replaced
        Maker(b"older").ensure(tmp_path, replace(KEY, version="1.6.0"))
    kill_at(tmp_path, where)
    with pytest.raises(store.Unfit):
        store.load(tmp_path, KEY)
    maker = Maker()  # not kept waiting by the dead process's lock
    path = maker.ensure(tmp_path)
    assert maker.calls == 1
    assert not [said for said in maker.said if "waiting" in said]
    assert path.read_bytes() == b"engine"
    assert store.load(tmp_path, KEY) == path
    assert names(tmp_path) == [KEY.name, f"{KEY.name}.json"]  # nothing is left of the dead one


def test_two_at_once_build_once(tmp_path):
    both = [child(tmp_path, "end") for _ in range(2)]
    outs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], outs
    assert (tmp_path / "builds").read_text(encoding="utf-8") == "built\n"
    assert outs[0][0] == outs[1][0] == f"{tmp_path / 'd1g' / KEY.name}\n"


def test_who_waits_is_told_and_gets_what_the_other_built(tmp_path):
    first = child(tmp_path, "end")
    while not (tmp_path / "builds").exists():
        assert first.poll() is None
        time.sleep(0.01)
    maker = Maker()
    path = maker.ensure(tmp_path)
    assert maker.said == [f"Another process is building {KEY.name}; waiting for it"]
    assert maker.calls == 0
    assert path.read_bytes() == b"engine of the child"
    first.communicate()


def test_a_lock_that_a_dead_process_left(tmp_path):
    lock = ensure.lock_of(tmp_path / "d1g" / KEY.name)
    lock.parent.mkdir()
    lock.write_text("4194303\nhost\n")
    maker = Maker()
    maker.ensure(tmp_path)
    assert maker.calls == 1


@pytest.mark.parametrize("file", [KEY.name, f"{KEY.name}.json"])
def test_a_full_disk(tmp_path, monkeypatch, file):
    """ENOSPC while the engine or its JSON is written; an older engine is not taken for it."""
    Maker(b"older").ensure(tmp_path, replace(KEY, version="1.6.0"))
    real = os.fsync

    def full(handle):
        if f".{file}." in os.readlink(f"/proc/self/fd/{handle}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        Maker().ensure(tmp_path)
    monkeypatch.undo()
    assert names(tmp_path) == [KEY.name, f"{KEY.name}.json"]
    with pytest.raises(store.Unfit):
        store.load(tmp_path, KEY)
    assert Maker(b"new").ensure(tmp_path).read_bytes() == b"new"


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    data = bytearray(path.read_bytes())
    data[2] ^= 1
    path.write_bytes(data)


def lose(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "suffix", "said"),
    [
        (cut, "", "truncated: 5 bytes, not 6"),
        (empty, "", "truncated: 0 bytes, not 6"),
        (flip, "", "damaged: it does not match its SHA-256"),
        (lose, "", "not readable (No such file or directory)"),
        (lose, ".json", "half-built: its build was interrupted"),
        (cut, ".json", None),
        (empty, ".json", "damaged: its JSON does not read"),
    ],
)
def test_a_damaged_entry_is_built_anew_and_it_says_why(tmp_path, harm, suffix, said):
    path = Maker().ensure(tmp_path)
    harm(Path(f"{path}{suffix}"))
    maker = Maker()
    maker.ensure(tmp_path)
    if said is None:  # the last byte is a line's end, and all that matters is there
        assert maker.calls == 0
        return
    assert maker.calls == 1
    assert maker.said[0].startswith(
        f"Building the TensorRT-RTX engine for sm89 anew, as the one there is {said}"
    )
    assert store.load(tmp_path, KEY) == path


def test_another_version_is_built_anew(tmp_path):
    Maker(b"older").ensure(tmp_path, replace(KEY, version="1.6.0"))
    maker = Maker()
    assert maker.ensure(tmp_path).read_bytes() == b"engine"
    assert maker.said == [
        "Building the TensorRT-RTX engine for sm89 anew, as the one there is built by TensorRT-RTX "
        "1.6.0, 1.7.1 is installed"
    ]


def test_an_engine_under_another_ones_name(tmp_path):
    path = Maker().ensure(tmp_path)
    other = replace(KEY, target="sm80")
    for suffix in ("", ".json"):
        os.rename(f"{path}{suffix}", path.with_name(f"{other.name}{suffix}"))
    with pytest.raises(store.Unfit, match="its JSON describes another engine"):
        store.load(tmp_path, other)


def test_one_for_the_architecture_serves_the_gpu_at_hand(tmp_path):
    path = Maker().ensure(tmp_path)
    here = replace(KEY, gpu="NVIDIA L4", driver="13.0")
    assert store.find(tmp_path, here) == (path, KEY)
    flip(path)
    with pytest.raises(store.MissingEngine):
        store.find(tmp_path, here)


def test_a_build_that_fails_leaves_no_lock_held_and_nothing_behind(tmp_path):
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        ensure.ensure(tmp_path, KEY, fail, lambda said: None)
    assert names(tmp_path) == []
    Maker().ensure(tmp_path)
