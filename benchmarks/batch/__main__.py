"""`fmtool predict --out`: how much faster than one by one, how busy, and what kills cost it.

    python -m benchmarks.batch throughput SCAN [--scans 12] [--json FILE]
    python -m benchmarks.batch busy SCAN [--scans 20] [--json FILE]
    python -m benchmarks.batch again SCAN [--scans 12] [--json FILE]
    python -m benchmarks.batch crash [--kills 200] [--scans 40] [--seed 1] [--json FILE]

`throughput`, with the demonstration bundle: the same scans by one `fmtool predict` each, by one
`fmtool predict` for all, and by `fmtool predict --out`. `busy`, with the full-size encoder: how
much of the cores the batch's processes use between the first result and the last. `again`:
a second bundle on the scans of a first one, with `--cache` and without. `crash`: kill -9
of the whole process group at random moments, batch after batch, until there were enough; each
batch's results are then compared with an undisturbed run's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.batch import again, crash, scans, throughput
from benchmarks.shared import script


def main() -> int:
    """Measure, print, write JSON; 1 if a crash cost anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("throughput", "busy", "again", "crash"))
    parser.add_argument("scan", type=Path, nargs="?", help="a whole head; not for crash")
    parser.add_argument("--scans", type=int)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.scan is None and args.what != "crash":
        parser.error(f"{args.what} needs a scan")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if args.what == "throughput":
            summary = throughput.throughput(args.scan, args.scans or 12, work)
        elif args.what == "again":
            summary = again.again(args.scan, args.scans or 12, work)
        elif args.what == "busy":
            summary = throughput.busy(args.scan, args.scans or 20, work)
        else:
            bundle = scans.tiny_bundle(Path(".cache"))
            summary = crash.crash(args.kills, args.scans or 40, args.seed, work, bundle)
    script.tell(summary, args.json)
    return 1 if summary.get("problems") else 0


if __name__ == "__main__":
    sys.exit(main())
