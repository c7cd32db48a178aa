"""Which systems have wheels for everything: of the newest versions, and of the lock files'."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.packages.environment import PROJECT, UV, Failed, compile_command, run
from benchmarks.supply.locks import FOLDER, LOCKS, MADE_FOR

SYSTEMS = {
    "x86_64-manylinux_2_28": set(),
    "aarch64-manylinux_2_31": {"bench", "dev", "fuzz", "gpu", "rtx"},
    "aarch64-manylinux_2_35": {"bench", "dev", "fuzz"},
    "aarch64-apple-darwin": {"bench", "dev", "gpu", "rtx"},
    "x86_64-pc-windows-msvc": set[str](),
}
"""uv's name of a system -> the extras for which it has no wheels: ANTs, atheris, CUDA's."""

UNLOCKED = {
    "x86_64-manylinux_2_28": {"service", "service-gpu"},
    "x86_64-manylinux_2_31": set(),
    "aarch64-manylinux_2_31": set(LOCKS) - MADE_FOR.keys(),
    "aarch64-manylinux_2_35": set(),
    "aarch64-apple-darwin": {"gpu", "service-gpu"},
    "x86_64-pc-windows-msvc": set[str](),
}
"""The same for the lock files; those that are made for one system are tried on that alone."""

ENGINE = "openvino"
"""The package whose version decides what a system is worth."""

NO_WHEELS = {"tensorrt"}
"""Extras that come as source archives, which fetch NVIDIA's libraries when they are installed."""

MACOS = {"MACOSX_DEPLOYMENT_TARGET": "14.0"}
"""The oldest that ONNX Runtime's wheels are for; uv takes an older one unless it is told."""

_NO_SET = "unsatisfiable"


def newest(root: Path, wanted: str, python: str, system: str) -> str:
    """What an extra takes on another system, all of it as wheels; "none" where that is known.

    Raises:
        Failed: if there is no such set where there should be one, or the other way round.
    """
    words = [*compile_command(root / PROJECT, python, wanted), "--only-binary", ":all:"]
    found = _resolved([*words, "--python-platform", system], wanted in SYSTEMS[system], wanted)
    if found is None:
        return "none"
    versions = dict(line.split("==") for line in found.splitlines() if "==" in line)
    engine = f" ({ENGINE} {versions[ENGINE]})" if ENGINE in versions else ""
    return f"{len(versions)}{engine}"


def locked(lock: str, python: str, folder: Path) -> str:
    """Where a lock file installs from wheels alone, by its hashes, and where it is known not to.

    Args:
        folder: that nothing is in; nothing is installed.

    Raises:
        Failed: if it does not where it should, or the other way round.
    """
    words: list[str | Path] = [*UV, "pip", "install", "--quiet", "--dry-run", "--no-config"]
    words += ["--target", folder, "--require-hashes", "--only-binary", ":all:"]
    words += ["--python-version", python]
    found = {}
    for system in [MADE_FOR[lock]] if lock in MADE_FOR else UNLOCKED:
        command = [*words, "--python-platform", system, "-r", FOLDER / f"{lock}.txt"]
        said = _resolved(command, lock in UNLOCKED[system], lock)
        found[system] = "none" if said is None else "installs"
    return ", ".join(f"{system} {said}" for system, said in found.items())


def _resolved(command: list[str | Path], absent: bool, what: str) -> str | None:
    """What uv said; None if there are no wheels, as is known."""
    try:
        said = run(command, environment={**os.environ, **MACOS})
    except Failed as error:
        if absent and _NO_SET in str(error):
            return None
        raise
    if absent:
        raise Failed(f"{what} has wheels by now where it is said to have none: say so")
    return said
