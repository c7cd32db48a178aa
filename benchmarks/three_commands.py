"""From a folder of raw heads to a prediction: `fmtool init`, train, export --fp16, predict.

In a fresh folder with a BIDS cohort of made heads, which is not timed: each command's seconds, the
processor's seconds, and the same commands once more, which find all of it done. Ends with exit
code 1 where the first time took longer than ten minutes, or the second made anything again.

    python -m benchmarks.three_commands [--heads 12] [--kills 0] [--json FILE]

With `--kills`, the whole is done once more from the same heads, each command killed so many times
at random moments (SIGKILL, its workers too) before it may end; the answer must be the same.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.shared import script

MINUTES = 10.0
SAME = 1e-5
"""How far answers of a broken and an unbroken way may be apart."""


def run(folder: Path, *words: str) -> tuple[dict[str, Any], str]:
    """One command's seconds, and what it said."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / ".xdg")}
    command = [sys.executable, "-m", "fmtool", *words]
    done, seconds = script.timed(
        lambda: subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    )
    if done.returncode:
        sys.exit(f"fmtool {' '.join(words)}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"command": words[0], "seconds": seconds, "cpu_seconds": cpu}, done.stderr


def killed(folder: Path, seconds: float, chance: random.Random, *words: str) -> bool:
    """Start a command and kill it at a moment of its first half; whether it was not done yet."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / ".xdg")}
    with (folder / "killed.log").open("ab") as log:
        begun = subprocess.Popen(
            [sys.executable, "-m", "fmtool", *words],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        begun.wait(chance.uniform(0.0, 0.5 * seconds))
    except subprocess.TimeoutExpired:
        os.killpg(begun.pid, signal.SIGKILL)
        begun.wait()
        return True
    if begun.returncode:
        sys.exit(f"fmtool {' '.join(words)} after a kill: see {folder / 'killed.log'}")
    return False


def answered(folder: Path, scan: Path) -> dict[str, float]:
    """What the folder's bundle says of a scan, by task."""
    command = [sys.executable, "-m", "fmtool", "predict", str(scan), "--json"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / ".xdg")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    (one,) = json.loads(done.stdout)
    return {name: float(answer["value"]) for name, answer in one["values"].items()}


def main() -> int:
    """Print and keep what was measured; 0 where it was quick enough."""
    asked = script.options(
        __doc__, heads=12, kills=(0, "of each command, in another folder"), json=Path
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        folder.mkdir()
        run(folder, "train", "synth", "heads", "-n", str(asked.heads), "--seed", "1")
        scan = sorted(folder.glob("heads/sub-*/anat/*_T1w.nii.gz"))[0]
        train, export = ("train",), ("export", "--fp16")
        three = train, export, ("predict", str(scan), "--task", "age")
        first = [run(folder, *words)[0] for words in (("init",), *three)]
        again = [run(folder, *words) for words in three]
        other, chance, kills, apart = Path(scratch) / "killed", random.Random(0), [], 0.0
        if asked.kills:
            shutil.copytree(folder / "heads", other / "heads", symlinks=True)
            run(other, "init")
            for words, one in zip(three, first[1:], strict=True):
                words = tuple(word.replace(str(folder), str(other)) for word in words)
                took = one["seconds"]
                kills.append(sum(killed(other, took, chance, *words) for _ in range(asked.kills)))
                run(other, *words)
            whole = answered(folder, scan)
            found_there = answered(other, other / scan.relative_to(folder))
            apart = max(abs(found_there[task] - value) for task, value in whole.items())
    said = [line for _, told in again[:2] for line in told.splitlines()]
    done = sum("done already" in line for line in said)
    minutes = sum(one["seconds"] for one in first) / 60
    found = {
        "cores": os.cpu_count(),
        "heads": asked.heads,
        "minutes": minutes,
        "commands": first,
        "again": [one for one, _ in again],
        "done_already": done,
        "killed": kills,
        "answers_apart": apart,
    }
    script.tell(found, asked.json)
    return int(minutes > MINUTES or done < 4 or apart > SAME)  # the encoder, two heads, the bundle


if __name__ == "__main__":
    sys.exit(main())
