"""The core runs where Python lacks what POSIX alone has: modules, functions, signals, /proc."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time

import pytest
import typer

from fmtool.cli import app
from fmtool.errors import CapabilityError
from fmtool.files import DEVICES
from runtime.batch import stop
from runtime.system import machine, owner, posix, scheduling, signals

# What Python documents as Windows' too of these modules; the rest of their names is POSIX's.
ON_WINDOWS = {
    "os": """
        DirEntry F_OK O_APPEND O_BINARY O_CREAT O_EXCL O_RDONLY O_RDWR O_TRUNC O_WRONLY P_DETACH
        P_NOWAIT P_NOWAITO P_OVERLAY P_WAIT PathLike R_OK SEEK_CUR SEEK_END SEEK_SET W_OK X_OK
        abc abort access add_dll_directory altsep chdir chmod close closerange cpu_count curdir
        defpath device_encoding devnull dup dup2 environ error execl execle execlp execlpe execv
        execve execvp execvpe extsep fdopen fsdecode fsencode fspath fstat fsync ftruncate
        get_exec_path get_handle_inheritable get_inheritable get_terminal_size getcwd getcwdb
        getenv getlogin getpid getppid isatty kill linesep link listdir lseek lstat makedirs mkdir
        name open pardir path pathsep pipe popen putenv read readlink remove removedirs rename
        renames replace rmdir scandir sep set_handle_inheritable set_inheritable spawnl spawnle
        spawnv spawnve st startfile stat stat_result statvfs_result strerror supports_bytes_environ
        supports_dir_fd supports_effective_ids supports_fd supports_follow_symlinks symlink sys
        system terminal_size times times_result truncate umask uname_result unlink unsetenv urandom
        utime waitpid waitstatus_to_exitcode walk write GenericAlias Mapping MutableMapping
    """,
    "signal": """
        Handlers Signals SIG_DFL SIG_IGN NSIG SIGABRT SIGFPE SIGILL SIGINT SIGSEGV SIGTERM
        default_int_handler getsignal raise_signal set_wakeup_fd signal strsignal valid_signals
    """,
    "select": "select error",
    "time": """
        altzone asctime ctime daylight get_clock_info gmtime localtime mktime monotonic
        monotonic_ns perf_counter perf_counter_ns process_time process_time_ns sleep strftime
        strptime struct_time thread_time thread_time_ns time time_ns timezone tzname
    """,
}

PROGRAM = """
import json, os, pathlib, select, signal, socket, sys, time, types

MODULES = ("fcntl", "grp", "pwd", "resource", "syslog", "termios")
OURS = ("__main__", "fmtool", "runtime", "training", "export")
KEPT = {module: set(names.split()) for module, names in json.loads(sys.argv[1]).items()}

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in MODULES:
            raise ImportError(name=name)

class Windows(types.ModuleType):
    # Libraries, which are built for this system, see all of it; fmtool's code, what is everywhere.
    def __getattribute__(self, name):
        asks = sys._getframe(1).f_globals.get("__name__", "").partition(".")[0]
        if asks in OURS and not name.startswith("_") and name not in KEPT[self.__name__]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return super().__getattribute__(name)

sys.meta_path.insert(0, Hidden())
for name in MODULES:
    sys.modules.pop(name, None)
for name in ("exists", "is_dir"):
    there = getattr(pathlib.Path, name)
    setattr(pathlib.Path, name, lambda self, there=there:
            not str(self).startswith(("/proc", "/sys")) and there(self))
del socket.AF_UNIX
for name in KEPT:
    sys.modules[name].__class__ = Windows
assert not hasattr(os, "geteuid") and not hasattr(signal, "SIGKILL")

from fmtool.cli import main

for arguments in json.loads(sys.argv[2]):
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
        [sys.executable, program, *map(json.dumps, (ON_WINDOWS, commands))],
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
    head = "cohort/sub-syn0001/anat"
    run(
        tmp_path,
        ["bundle", "show"],
        ["bundle", "verify"],
        ["train", "synth", "cohort", "--subjects", "2", "--seed", "0"],
        ["train", "synth", "heads", "--subjects", "16", "--seed", "0", "--prepared"],
        ["preprocess", f"{head}/sub-syn0001_T1w.nii.gz", "-o", "prepared"],
        ["train", "prepare", "cohort", "--cache", "cache"],
        [
            "train",
            "probe",
            "heads/cohort.csv",
            "--task",
            "age",
            "-o",
            "age.json",
            "--cache",
            "cache",
        ],
        ["predict", f"{head}/sub-syn0001_T1w.nii.gz", "--report", "report"],
    )
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert {"prepared/mask.nii.gz", "age.json", "report/sub-syn0001_T1w.html"} <= made
    names = [name for path in made for name in path.split("/")]
    assert [name for name in names if re.search(r'[<>:"\\|?*]|[. ]$', name)] == []
    assert [name for name in names if DEVICES.match(name)] == []
    assert len({path.casefold() for path in made}) == len(made)
    assert max(map(len, made)) < 160  # of Windows' 260, with the user's folder before it


@pytest.mark.parametrize(("module", "name"), [(os, "O_DIRECTORY"), (select, "poll")])
def test_a_service_needs_all_of_it(monkeypatch, module, name):
    posix.needed()
    monkeypatch.delattr(module, name)
    with pytest.raises(CapabilityError, match="services need a POSIX system"):
        posix.needed()


def test_where_no_service_can_run_it_says_so_and_makes_nothing(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "geteuid")
    monkeypatch.setattr(posix.platform, "system", lambda: "Windows")
    said = r"services need a POSIX system, and Windows is none; run the service on Linux"
    (tmp_path / "inbox").mkdir()
    for words in (
        ["watch", tmp_path / "inbox", "--out", tmp_path / "out", "--once"],
        ["serve", "dicom", "--inbox", tmp_path / "node", "--allow", "ANY"],
        ["serve", "http", "--spool", tmp_path / "spool"],
        ["serve", "mrd"],
    ):
        with pytest.raises(CapabilityError, match=said):
            typer.main.get_command(app)([str(word) for word in words], standalone_mode=False)
    assert [path.name for path in tmp_path.iterdir()] == ["inbox"]


def test_threads_and_signals_are_left_alone_where_the_system_cannot(monkeypatch):
    for module, name in ((os, "sched_getaffinity"), (os, "nice"), (signal, "pthread_sigmask")):
        monkeypatch.delattr(module, name)
    with scheduling.bound_to(0):
        scheduling.give_way(10)
    signals.restore(signals.hold(stop.SIGNALS))
    assert scheduling.there() == []
    assert machine.bound() == os.cpu_count()


def test_where_processes_cannot_be_asked_the_heartbeat_tells(monkeypatch):
    monkeypatch.setattr(owner, "_UNASKED", True)
    monkeypatch.setattr(owner.Path, "is_dir", lambda self: False)
    monkeypatch.delattr(os, "kill")
    assert owner.lives(owner.me(), time.time())
    assert not owner.lives(owner.me(), time.time() - 2 * owner.STALE_SECONDS)
    assert owner.tagged_lives(owner.tag(), time.time())
