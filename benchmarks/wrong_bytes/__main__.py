"""Flip, open, count; exit code 1 where a wrong byte goes unseen or raises what is no sentence.

python -m benchmarks.wrong_bytes [--bundle B] [--samples 2000] [--json FILE]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from benchmarks.shared import script
from benchmarks.wrong_bytes import trial
from benchmarks.wrong_bytes.trial import CAUGHT, CRASHED, HARMLESS, MISSED, content
from fmtool import bundle as bundles

_ORDER = (CAUGHT, HARMLESS, MISSED, CRASHED)


def main() -> None:
    """Try the bundle's folder, a zip of it, and every bit of a toy's zips."""
    args = script.options(
        __doc__,
        bundle=(bundles.DEMO, "a folder; it is copied"),
        samples=(400, "of each large file and its zip"),
        json=Path,
    )
    with tempfile.TemporaryDirectory() as scratch:
        there = Path(scratch)
        found = {}
        copy = Path(shutil.copytree(args.bundle, there / "copy.fmtool"))
        found["folder"] = trial.folder(copy, args.samples)
        _tell("folder", found["folder"])
        stored = trial.packed(copy, there / "copy.zip", zipfile.ZIP_DEFLATED)
        tried = trial.some_bytes(stored.stat().st_size, args.samples, np.random.default_rng(21))
        found["zip"] = trial.archive(stored, content(copy), tried)
        _tell("zip", found["zip"])
        small = trial.toy(there)
        for name, method in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
            packed = trial.packed(small, there / f"{name}.zip", method)
            every = trial.every_bit(packed.stat().st_size)
            found[f"toy, {name}"] = trial.archive(packed, content(small), every)
            _tell(f"toy, {name}, every bit", found[f"toy, {name}"])
    script.keep(found, args.json)
    kinds = [kind for tally in found.values() for counts in tally.values() for kind in counts]
    sys.exit(1 if MISSED in kinds or CRASHED in kinds else 0)


def _tell(title: str, tally: trial.Tally) -> None:
    rows = [[name, *(str(counts[kind]) for kind in _ORDER)] for name, counts in tally.items()]
    print(f"\n{script.markdown([title, *_ORDER], rows)}", flush=True)


if __name__ == "__main__":
    main()
