"""What a check says when it does not hold."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

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
