"""Which versions an extra takes: the lowest that pyproject.toml allows, or another platform's."""

from __future__ import annotations

import tomllib
from pathlib import Path

from benchmarks.packages.environment import UV, find_links, run

PROJECT = "pyproject.toml"
X86, ARM = "x86_64-manylinux_2_28", "aarch64-manylinux_2_31"
"""Linux with glibc 2.28, and 2.31, the oldest that OpenVINO has wheels for on ARM."""

NO_ARM = {"bench", "dev", "fuzz", "gpu", "rtx"}
"""Extras that are for x86-64 alone: CUDA, and what has no wheels for ARM, the reference chain and
atheris."""

NO_WHEELS = {"tensorrt"}
"""Extras that come as source archives, which fetch NVIDIA's libraries when they are installed."""


def extras(root: Path) -> dict[str, list[str]]:
    """The extras of pyproject.toml, each with its requirements."""
    text = (root / PROJECT).read_text(encoding="utf-8")
    found: dict[str, list[str]] = tomllib.loads(text)["project"]["optional-dependencies"]
    return found


def lowest(root: Path, wanted: str, python: str, held: list[str], folder: Path) -> Path:
    """A requirements file of `wanted` (extras, with commas) at the lowest direct versions.

    Args:
        root: the repository.
        wanted: extras.
        python: such as "3.11".
        held: requirements that hold something at its newest all the same, as torch==2.13.0.
        folder: for the file.

    Raises:
        Failed: if nothing meets all of them.
    """
    file, hold, asked = (folder / f"{name}.txt" for name in ("lowest", "hold", "asked"))
    asked.write_text("\n".join(held), encoding="utf-8")
    hold.write_text(run([*_compile(asked, python), "--no-deps"]), encoding="utf-8")
    command = [*_compile(root / PROJECT, python, wanted), "--resolution", "lowest-direct"]
    run([*command, "--constraint", hold, "--output-file", file])
    return file


def platform(root: Path, wanted: str, python: str, system: str) -> int:
    """How many packages `wanted` takes on another system, all of them as wheels.

    Raises:
        Failed: if there is no such set.
    """
    command = [*_compile(root / PROJECT, python, wanted), "--only-binary", ":all:"]
    found = run([*command, "--python-platform", system])
    return sum(1 for line in found.splitlines() if "==" in line)


def _compile(file: Path, python: str, extras: str = "") -> list[str | Path]:
    named = [word for extra in extras.split(",") if extra for word in ("--extra", extra)]
    options = ["--quiet", "--no-header", "--no-annotate", "--python-version", python]
    return [*UV, "pip", "compile", file, *named, *options, *find_links()]
