"""A fresh environment with the wheel in it, and nothing of the repository or of the network.

How a program is run, what a check says when it does not hold, and the lowest versions that
pyproject.toml allows an extra.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.packages import unplugged

UV = (sys.executable, "-m", "uv")
"""How uv is called, whatever PATH has."""


class Failed(Exception):
    """A package that is not what it should be; the sentence says how."""


def run(
    command: Sequence[str | Path],
    where: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a command and answer its stdout.

    Args:
        command: the program and its arguments.
        where: the folder it runs in; this process's if absent.
        environment: all of its variables; this process's if absent.

    Raises:
        Failed: with the last lines of what it said, if its exit code is not 0.
    """
    done = subprocess.run(
        [str(word) for word in command],
        cwd=where,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        told = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        words = " ".join(str(word) for word in command)
        raise Failed(f"exit code {done.returncode} of `{words}`:\n{told}")
    return done.stdout


@dataclass(frozen=True)
class Environment:
    """A virtual environment of its own, and a folder to work in.

    Attributes:
        folder: the environment's.
        work: an empty folder, which is home, cache and working directory of what runs here.
    """

    folder: Path
    work: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def run(self, *words: str | Path, more: Mapping[str, str] | None = None) -> str:
        """Run one of its programs without a network; answers its stdout.

        Raises:
            Failed: if the exit code is not 0.
        """
        command = [self.python, unplugged.__file__, *words]
        return run(command, self.work, {**self.variables(), **(more or {})})

    def variables(self) -> dict[str, str]:
        """The variables of what runs here: none that leads out of it."""
        kept = {k: v for k, v in os.environ.items() if k.startswith(("OMP_", "OPENBLAS_", "LC_"))}
        path = f"{self.folder / 'bin'}:/usr/bin:/bin:/usr/sbin:/sbin"
        return {**kept, "PATH": path, "HOME": str(self.work), "TMPDIR": str(self.work)}

    def bytes(self) -> int:
        """All that its packages hold, each file once."""
        return sum(size(folder) for folder in self.folder.glob("lib/python*/site-packages"))

    def packages(self) -> set[str]:
        """The names of all that is installed in it."""
        asked = "import importlib.metadata as m; print(*[d.name for d in m.distributions()])"
        return set(run([self.python, "-c", asked]).split())


def make(folder: Path, python: str, requirements: Sequence[str | Path]) -> Environment:
    """A new environment with all of `requirements` (of `uv pip install`) in it."""
    run([*UV, "venv", "--quiet", "--python", python, folder / "environment"])
    made = Environment(folder / "environment", folder / "work")
    made.work.mkdir()
    install: list[str | Path] = [*UV, "pip", "install", "--quiet", "--python", made.python]
    run([*install, *find_links(), *requirements])
    return made


def find_links() -> list[str]:
    """Where pip was told to look for wheels beside the registry, as for a CPU build of torch."""
    given = os.environ.get("PIP_FIND_LINKS", "").split()
    return [word for place in given for word in ("--find-links", place)]


def size(folder: Path) -> int:
    """Bytes of all files below `folder`; one with several names counts once."""
    found = {}
    for path in folder.rglob("*"):
        facts = path.lstat()
        if not path.is_dir():
            found[facts.st_dev, facts.st_ino] = facts.st_size
    return sum(found.values())


PROJECT = "pyproject.toml"


def extras(root: Path) -> dict[str, list[str]]:
    """The extras of pyproject.toml, each with its requirements."""
    text = (root / PROJECT).read_text(encoding="utf-8")
    found: dict[str, list[str]] = tomllib.loads(text)["project"]["optional-dependencies"]
    return found


def lowest(root: Path, wanted: str, python: str, held: list[str], folder: Path) -> Path:
    """A requirements file of `wanted` (extras, with commas) at the lowest direct versions.

    Args:
        python: such as "3.11".
        held: requirements that hold something at its newest all the same, as torch==2.13.0.

    Raises:
        Failed: if nothing meets all of them.
    """
    file, hold, asked = (folder / f"{name}.txt" for name in ("lowest", "hold", "asked"))
    asked.write_text("\n".join(held), encoding="utf-8")
    hold.write_text(run([*compile_command(asked, python), "--no-deps"]), encoding="utf-8")
    command = [*compile_command(root / PROJECT, python, wanted), "--resolution", "lowest-direct"]
    run([*command, "--constraint", hold, "--output-file", file])
    return file


def compile_command(file: Path, python: str, extras: str = "") -> list[str | Path]:
    """What resolves a file's requirements, or those of pyproject.toml with `extras`."""
    named = [word for extra in extras.split(",") if extra for word in ("--extra", extra)]
    options = ["--quiet", "--no-header", "--no-annotate", "--python-version", python]
    return [*UV, "pip", "compile", file, *named, *options, *find_links()]
