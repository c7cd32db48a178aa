"""Fuzz one entry, or all of them in turn, and say what was found.

    python -m benchmarks.fuzz ENTRY --minutes 30 [--memory MIB] [--out FOLDER]
        [--corpus FOLDER] [--replay FILE]

A trial may end in one of fmtool's own errors, whose sentence is one printable line. Any other
exception, more than 10 s, or more memory than the limit is a finding: its input is kept in
FOLDER/ENTRY beside its trace, and the exit code is 1. Prints a JSON object per entry.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.fuzz.entry import NAMES, attempt, limit_memory, load, watchdog
from benchmarks.fuzz.run import run


def main() -> int:
    """Parse, run, print; 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("entry", choices=[*NAMES, "all"])
    parser.add_argument("--minutes", type=float, default=30.0, help="per entry")
    parser.add_argument("--memory", type=int, default=1024, help="MiB that a trial may take")
    parser.add_argument("--out", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, help="keep what atheris learns, for the next run")
    parser.add_argument("--replay", type=Path, help="send one kept input in again, and stop")
    args = parser.parse_args()
    if args.replay is not None:
        return _replay(args.entry, args.replay, args.memory << 20)
    found = False
    for name in NAMES if args.entry == "all" else (args.entry,):
        corpus = args.corpus / name if args.corpus is not None else None
        report = run(name, args.minutes * 60.0, args.memory << 20, args.out, args.seed, corpus)
        print(json.dumps(asdict(report)), flush=True)
        found = found or bool(report.findings)
    return int(found)


def _replay(name: str, file: Path, memory: int) -> int:
    entry = load(name)
    limit_memory(memory)
    with tempfile.TemporaryDirectory(prefix="fmtool-fuzz-") as scratch, watchdog(sys.stderr):
        finding = attempt(entry, file.read_bytes(), Path(scratch) / "trial")
    print(finding.told if finding else "nothing: taken, or refused in one sentence")
    return int(finding is not None)


if __name__ == "__main__":
    sys.exit(main())
