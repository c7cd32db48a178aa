"""Machines of packages alone, without privileges: an emulator, for ARM a root, and wheels.

The emulator runs one program. A program that it runs starts others as the system does, so what
Python takes for itself (`sys.executable`) must be something that the system can start: a script
that calls the emulator, in a folder that is a virtual environment to Python.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.packages.environment import UV, run
from benchmarks.supply.locks import FOLDER, MADE_FOR

ROOT_SUITE = "bookworm"
"""Debian's release with Python 3.11, which the lock files are for, and glibc 2.36."""

EMULATOR_SUITE = "trixie"
"""The one with QEMU 10: in 7.2, ONNX Runtime 1.32 dies as it is loaded."""

LOCK = "aarch64-glibc2.35/service"
SYSTEM = ("python3.11", "libstdc++6", "libgomp1")
FEATURES = {
    "aarch64": frozenset({"NEON", "SVE", "bfloat16", "i8mm"}),
    "nehalem": frozenset[str](),
}
_NEHALEM = (
    "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 "
    "syscall nx lm pni ssse3 cx16 sse4_1 sse4_2 popcnt hypervisor lahf_lm"
)
"""Of QEMU's model of that name, as Linux lists them; the emulated program would see this one's."""

_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclass(frozen=True)
class Machine:
    """One kind of processor: the repository runs there as it is.

    Attributes:
        python: its interpreter.
        features: what `fmtool doctor` must name of its processor, and no other; None: this one's.
    """

    python: Path
    features: frozenset[str] | None

    def start(self, words: list[str], work: Path) -> subprocess.Popen[str]:
        """Start Python with `words` in a folder, on one thread and out of others' way."""
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TMPDIR")}
        places = [str(FOLDER.parent)]
        if self.features == FEATURES["nehalem"]:  # it has this one's packages
            places.append(sysconfig.get_path("purelib"))
        own = {"HOME": str(work), "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(places)}
        return subprocess.Popen(
            [str(self.python), *words],
            cwd=work,
            env={**kept, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def here() -> Machine:
    """This machine, with the packages that are installed."""
    return Machine(Path(sys.executable), None)


def aarch64(folder: Path) -> Machine:
    """An emulated ARM machine; what of it is in the folder already is kept.

    Raises:
        Failed: if a package cannot be had.
    """
    emulator, root = _emulator(folder), folder / "root"
    packages = folder / "env/lib/python3.11/site-packages"
    if not (folder / ".made").exists():
        _unpacked(root, ROOT_SUITE, "arm64", SYSTEM)
        words = ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
        words += ["--python-version", "3.11", "--python-platform", MADE_FOR[LOCK]]
        run([*UV, "pip", "install", "--target", packages, *words, "-r", FOLDER / f"{LOCK}.txt"])
        (folder / ".made").touch()
    call: list[str | Path] = [emulator / "qemu-aarch64", "-L", root]
    real = root / "usr/bin/python3.11"
    return Machine(_python(folder / "env", Path("/usr/bin"), call, real), FEATURES["aarch64"])


def nehalem(folder: Path) -> Machine:
    """This machine with a processor of the x86-64-v2 level, which has SSE4.2 and no AVX.

    Raises:
        Failed: if the emulator cannot be had.
    """
    emulator, root = _emulator(folder), folder / "root"
    (root / "proc").mkdir(parents=True, exist_ok=True)
    (root / "proc/cpuinfo").write_text(
        f"processor\t: 0\nmodel name\t: Nehalem, emulated\nflags\t\t: {_NEHALEM}\n\n"
    )
    call: list[str | Path] = [emulator / "qemu-x86_64", "-L", root, "-cpu", "Nehalem"]
    real = Path(sys.executable).resolve()
    return Machine(_python(folder / "env", real.parent, call, real), FEATURES["nehalem"])


MACHINES = {"aarch64": aarch64, "nehalem": nehalem}
"""What can be emulated here."""


def _python(environment: Path, home: Path, call: Sequence[str | Path], real: Path) -> Path:
    """A script that starts an interpreter in the emulator, as a virtual environment's own."""
    python = environment / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    (environment / "pyvenv.cfg").write_text(f"home = {home}\n")
    words = " ".join(f'"{word}"' for word in (*call, "-0", python, real))
    python.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    python.chmod(0o755)
    return python


def _emulator(folder: Path) -> Path:
    """The folder of QEMU's programs."""
    target = folder.with_name("emulator")
    if not (target / "usr/bin/qemu-aarch64").exists():
        _unpacked(target, EMULATOR_SUITE, "amd64", ("qemu-user",))
    return target / "usr/bin"


def _unpacked(target: Path, suite: str, architecture: str, packages: tuple[str, ...]) -> None:
    """Unpack Debian packages, and all that they need, for any architecture; install nothing."""
    apt = target.with_name(f"{target.name}-apt")
    for folder in ("state/lists/partial", "cache/archives/partial", "debs"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    where = ("Origin: Debian", "Label: Debian")  # and not its updates for security
    mirror = run(["apt-get", "indextargets", "--format", "$(REPO_URI)", *where]).split()[0]
    (apt / "sources").write_text(f"deb [signed-by={_KEYS}] {mirror} {suite} main\n")
    (apt / "conf").write_text(
        f'APT::Architecture "{architecture}"; APT::Architectures {{ "{architecture}"; }};\n'
        f'Dir::State "{apt}/state"; Dir::State::status "{apt}/status"; Dir::Cache "{apt}/cache";\n'
        f'Dir::Etc::sourcelist "{apt}/sources"; Dir::Etc::sourceparts "-";\n'
    )
    variables = {**os.environ, "APT_CONFIG": str(apt / "conf")}
    run(["apt-get", "update"], environment=variables)
    words = ["install", "--simulate", "--no-install-recommends", *packages]
    told = run(["apt-get", *words], environment=variables).splitlines()
    wanted = [line.split()[1] for line in told if line.startswith("Inst ")]
    run(["apt-get", "download", *wanted], apt / "debs", variables)
    for package in sorted((apt / "debs").glob("*.deb")):
        run(["dpkg-deb", "--extract", package, target])
