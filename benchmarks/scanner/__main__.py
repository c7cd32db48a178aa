"""Measure the MRD server; prints a JSON object.

    python -m benchmarks.scanner bars HEAD [--bundle B]      HEAD: NIfTI or DICOM
    python -m benchmarks.scanner faults [--runs 500] [--seed 0]
    python -m benchmarks.scanner crowd [--connections 10000]

`bars`: a head's answers from its file and through the server, in every arrangement, relative to the
head's own error; seconds from the last image to CLOSE beside a warm `predict`; seconds to the first
message, and to a second client's word while another's scan is computed; memory at its peak.

`faults`: each run a fault at a random moment; in each the originals and one CLOSE must arrive, or
the socket close, and the next connection must be answered.

`crowd`: connections in a row that end anywhere; the server must not grow.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def main() -> int:
    """Parse, run, print; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scanner", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    bars = verbs.add_parser("bars")
    bars.add_argument("head", type=Path)
    bars.add_argument("--bundle", type=Path)
    trials = verbs.add_parser("faults")
    trials.add_argument("--runs", type=int, default=500)
    trials.add_argument("--seed", type=int, default=0)
    many = verbs.add_parser("crowd")
    many.add_argument("--connections", type=int, default=10_000)
    asked = parser.parse_args()
    if asked.verb == "bars":
        from benchmarks.scanner.bars import measure

        found = measure(asked.head, asked.bundle)
    elif asked.verb == "faults":
        from benchmarks.scanner.faults import run

        found = run(asked.runs, asked.seed)
    else:
        from benchmarks.scanner.faults import crowd

        found = crowd(asked.connections)
    print(json.dumps(found, indent=1))
    return int(bool(found["missed"]))


if __name__ == "__main__":
    sys.exit(main())
