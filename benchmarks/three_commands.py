"""From a folder of raw heads to a prediction: `fmtool init`, train, export --fp16, predict.

In a fresh folder with a BIDS cohort of made heads, which is not timed: each command's seconds, the
processor's seconds, and the same commands once more, which find all of it done. Ends with exit
code 1 where the first time took longer than ten minutes, or the second made anything again.

    python -m benchmarks.three_commands [--heads 12] [--json FILE]
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.shared import script

MINUTES = 10.0


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


def main() -> int:
    """Print and keep what was measured; 0 where it was quick enough."""
    asked = script.options(__doc__, heads=12, json=Path)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "project"
        folder.mkdir()
        run(folder, "train", "synth", "heads", "-n", str(asked.heads), "--seed", "1")
        scan = sorted(folder.glob("heads/sub-*/anat/*_T1w.nii.gz"))[0]
        train, export = ("train",), ("export", "--fp16")
        three = train, export, ("predict", str(scan), "--task", "age")
        first = [run(folder, *words)[0] for words in (("init",), *three)]
        again = [run(folder, *words) for words in three]
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
    }
    script.tell(found, asked.json)
    return int(minutes > MINUTES or done < 4)  # the encoder, two heads, the bundle


if __name__ == "__main__":
    sys.exit(main())
