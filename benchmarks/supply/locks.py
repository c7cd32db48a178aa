"""Lock files: what each extra installs, pinned and with its hashes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fmtool.errors import CapabilityError
from runtime.system import atomic

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "locks"
PYTHON = "3.11"
INDEX = "https://pypi.org/simple"
LOCKS: dict[str, tuple[str, ...]] = {
    "cpu": ("cpu",),
    "gpu": ("gpu",),
    "service": ("cpu", "dicom", "http", "parquet", "sign"),
    "service-gpu": ("gpu", "dicom", "http", "parquet", "sign"),
    "train": ("cpu", "train"),
    "aarch64-glibc2.31/cpu": ("cpu",),
    "aarch64-glibc2.31/service": ("cpu", "dicom", "http", "parquet", "sign"),
    "aarch64-glibc2.35/cpu": ("cpu",),
    "aarch64-glibc2.35/service": ("cpu", "dicom", "http", "parquet", "sign"),
}
"""Lock file -> the extras that it installs together."""

MADE_FOR = {
    name: f"aarch64-manylinux_2_{glibc}"
    for name in LOCKS
    if (glibc := name.removeprefix("aarch64-glibc2.").partition("/")[0]) != name
}
"""Lock file -> uv's name of the one system that it is for; the others are for any.

Wheels for aarch64 ask for newer C libraries than those for x86-64: the newest version that any
system has is none that older ones can install.
"""

BESIDE = {"service-gpu": "onnxruntime-gpu[cuda,cudnn]"}
"""Lock file -> what it installs beside the extras: in a container, CUDA comes from packages."""

_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9.!+]+)(?: ; (.+?))? \\")
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")
_HIDDEN = ("PIP_", "UV_")


def write() -> None:
    """Resolve every lock file anew; all of them, or none, are written.

    Raises:
        CapabilityError: if uv is not installed, or the index cannot be reached.
    """
    made = {name: _compiled(name) for name in LOCKS}
    for name, text in made.items():
        file = FOLDER / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(file, text.encode())


def pins(name: str) -> dict[str, tuple[str, int]]:
    """A lock file's packages, by canonical name: the version, and how many hashes.

    Raises:
        ValueError: for a line that is neither a pin nor a hash.
    """
    found: dict[str, tuple[str, int]] = {}
    last = ""
    for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if pin := _PIN.fullmatch(line):
            last = canonicalize_name(pin[1])
            found[last] = (pin[2], 0)
        elif _HASH.fullmatch(line) and last:
            version, count = found[last]
            found[last] = (version, count + 1)
        else:
            raise ValueError(f"{name}.txt has the line {line!r}")
    return found


def problems(name: str) -> list[str]:
    """How a lock file falls short of `pyproject.toml`; nothing if it fits."""
    try:
        found = pins(name)
    except (OSError, ValueError) as error:
        return [str(error)]
    said = [f"{package} has no hash" for package, (_, count) in found.items() if not count]
    for wanted in _wanted(LOCKS[name]):
        version = found.get(canonicalize_name(wanted.name), ("", 0))[0]
        if not version or not wanted.specifier.contains(version, prereleases=True):
            said.append(f"{wanted} is not met by {version or 'anything'}")
    return said


def _wanted(extras: tuple[str, ...]) -> list[Requirement]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    words = list(project["dependencies"])
    for extra in extras:
        words += project["optional-dependencies"][extra]
    return [wanted for wanted in map(Requirement, words) if wanted.name != project["name"]]


def _compiled(name: str) -> str:
    extras = LOCKS[name]
    options = ["--generate-hashes", "--no-header", "--no-annotate", "--no-config", "--quiet"]
    options += ["--python-version", PYTHON, "--default-index", INDEX]
    system = MADE_FOR.get(name)
    options += ["--python-platform", system, "--no-build"] if system else ["--universal"]
    options += [word for extra in extras for word in ("--extra", extra)]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(_HIDDEN)}
    with tempfile.TemporaryDirectory(prefix="fmtool-locks-") as scratch:
        out = Path(scratch) / "lock.txt"
        command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "-o", str(out)]
        done = subprocess.run(
            [*command, "-", *options],
            cwd=ROOT,
            env=clean,
            input=BESIDE.get(name, ""),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not out.exists():
            why = (done.stderr.strip().splitlines() or ["no word"])[-1]
            raise CapabilityError(f"uv cannot resolve {', '.join(extras)} ({why}); install `dev`")
        return out.read_text(encoding="utf-8")
