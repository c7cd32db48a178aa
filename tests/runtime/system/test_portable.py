"""The core runs where Python lacks what POSIX alone has: modules, functions, signals, /proc."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import nibabel as nib
import pytest

from fmtool import bundle
from runtime.system import owner

PROGRAM = """
import json, os, pathlib, signal, socket, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "grp", "pwd", "resource", "syslog", "termios"):
            raise ImportError(name=name)

sys.meta_path.insert(0, Hidden())
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules.pop(name, None)
for module, names in (
    (os, "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK chown fchmod fork geteuid getloadavg getpgid "
         "getuid killpg mkfifo nice posix_fadvise pread sched_getaffinity sched_setaffinity setsid "
         "statvfs sysconf"),
    (signal, "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGUSR1 SIGUSR2 alarm pthread_sigmask "
             "setitimer"),
    (socket, "AF_UNIX"),
):
    import shutil  # which has what it needs of statvfs
    for name in names.split():
        vars(module).pop(name, None)
for name in ("exists", "is_dir"):
    there = getattr(pathlib.Path, name)
    setattr(pathlib.Path, name, lambda self, there=there:
            not str(self).startswith(("/proc", "/sys")) and there(self))

from fmtool.cli import main

for arguments in json.loads(sys.argv[1]):
    sys.argv = ["fmtool", *arguments]
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""


def run(folder, *commands):
    program = folder / "hidden.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, program, json.dumps(commands)],
        cwd=folder,
        env={**os.environ, "LOGNAME": "", "USER": "", "LNAME": "", "USERNAME": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_prepared_scan_is_answered(heads, tmp_path):
    said = run(
        tmp_path,
        ["doctor", "--json"],
        ["bundle", "keygen", "key"],
        ["predict", str(heads / "head-0"), "--json"],
    )
    facts, end = json.JSONDecoder().raw_decode(said)
    assert facts["memory_gib"] is None
    assert facts["instructions"] == {}
    (answer,) = json.loads(said[said.index("[\n {", end) :])
    assert answer["values"]["age"]["unit"] == "years"
    assert sorted(file.name for file in tmp_path.glob("key*")) == ["key", "key.pub"]


@pytest.mark.slow
def test_a_whole_head_is_prepared_and_a_bundle_checked(tmp_path):
    nib.save(nib.load(bundle.DEMO / "template.nii.gz"), tmp_path / "head.nii.gz")
    run(
        tmp_path,
        ["bundle", "show"],
        ["bundle", "verify"],
        ["train", "synth", "cohort", "--subjects", "12"],
        ["preprocess", "cohort/sub-01/anat/sub-01_T1w.nii.gz", "-o", "prepared"],
        ["train", "prepare", "cohort", "--cache", "cache"],
    )
    assert (tmp_path / "prepared" / "mask.nii.gz").exists()


def test_where_processes_cannot_be_asked_the_heartbeat_tells(monkeypatch):
    monkeypatch.setattr(owner, "_UNASKED", True)
    monkeypatch.setattr(owner.Path, "is_dir", lambda self: False)
    monkeypatch.delattr(os, "kill")
    assert owner.lives(owner.me(), time.time())
    assert not owner.lives(owner.me(), time.time() - 2 * owner.STALE_SECONDS)
    assert owner.tagged_lives(owner.tag(), time.time())
