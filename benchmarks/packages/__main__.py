"""Build the packages twice, install the wheel alone for each extra, use it without a network.

    python -m benchmarks.packages [--step build|latest|lowest|platforms|locks ...] [--extra cpu ...]

`latest` takes the newest version of everything, `lowest` the lowest of what pyproject.toml names.
Exits with 1 if anything fails. Needs uv, and a registry to install from.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.packages import build, environment, platforms, uses
from benchmarks.packages.environment import Failed
from benchmarks.supply.locks import LOCKS

ROOT = Path(__file__).parents[2]
STEPS = ("build", "latest", "lowest", "platforms", "locks")
LARGEST_CPU = 500e6
"""Bytes that `fmtool[cpu]` may install."""


def main() -> int:
    """Run the steps, one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", action="append", choices=STEPS, help="all if absent")
    parser.add_argument("--extra", action="append", choices=[*uses.USES], help="all if absent")
    parser.add_argument("--python", default="3.11", help="for uv")
    parser.add_argument("--torch", default="torch==2.13.0", help="the release that is tested")
    args = parser.parse_args()
    steps, wanted = args.step or STEPS, args.extra or [*uses.USES]
    failed = []

    def check(name: str, work: Callable[[], str]) -> None:
        try:
            print(f"ok      {name}: {work()}", flush=True)
        except Failed as error:
            failed.append(name)
            print(f"FAILED  {name}: {error}", flush=True)

    with tempfile.TemporaryDirectory(prefix="fmtool-packages-") as scratch:
        folder = Path(scratch)
        built = build.build_twice(ROOT, folder)
        size = built.wheel.stat().st_size / 1e6
        print(
            f"ok      build: two builds are the same bytes; the wheel has {size:.1f} MB", flush=True
        )
        for extra in wanted if "latest" in steps else ():
            check(f"latest {extra}", partial(latest, built.wheel, extra, args, folder / extra))
        for extra in wanted if "lowest" in steps else ():
            where = folder / f"{extra}-lowest"
            check(f"lowest {extra}", partial(lowest, built.wheel, extra, args, where))
        if "platforms" in steps:
            for extra in sorted(environment.extras(ROOT).keys() - platforms.NO_WHEELS):
                check(f"platforms {extra}", partial(newest, extra, args.python))
        for lock in LOCKS if "locks" in steps else ():
            check(f"locks {lock}", partial(platforms.locked, lock, args.python, folder / "none"))
    return 1 if failed else 0


def latest(wheel: Path, extra: str, args: argparse.Namespace, folder: Path) -> str:
    """Install the newest versions for `extra` and use it."""
    installed, use = uses.USES[extra]
    held = [args.torch] if extra in ("train", "bench") else []
    here = environment.make(folder, args.python, [f"fmtool[{installed}] @ {wheel.as_uri()}", *held])
    size = here.bytes()
    if extra == "cpu":
        if "torch" in here.packages():
            raise Failed("torch is installed")
        if size > LARGEST_CPU:
            raise Failed(f"{size / 1e6:.0f} MB are installed")
    use(here)
    return f"{size / 1e6:.0f} MB installed, {here.bytes() / 1e6:.0f} MB once it was used"


def lowest(wheel: Path, extra: str, args: argparse.Namespace, folder: Path) -> str:
    """Install the lowest direct versions for `extra` and use it."""
    installed, use = uses.USES[extra]
    folder.mkdir()
    held = [args.torch] if extra in ("train", "bench") else []
    file = environment.lowest(ROOT, installed, args.python, held, folder)
    here = environment.make(folder, args.python, ["--requirements", file, "--no-deps", wheel])
    use(here)
    return f"{len(here.packages())} packages"


def newest(extra: str, python: str) -> str:
    """Find a set of wheels for `extra` on each system that has one."""
    found = {s: platforms.newest(ROOT, extra, python, s) for s in platforms.SYSTEMS}
    return ", ".join(f"{system} {wheels}" for system, wheels in found.items())


if __name__ == "__main__":
    sys.exit(main())
