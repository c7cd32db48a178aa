"""What a report costs: seconds of wall time and of processor time, and megabytes, per page.

    python -m benchmarks.report SCAN [--bundle B] [--repeats 5] [--json FILE]

The first page of a process draws the template's contours, which the later ones reuse. A busy
machine stretches wall time, not processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from runtime.predict import Predictor
from runtime.report.publish import Publisher


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    walls, processors = [], []
    with tempfile.TemporaryDirectory() as folder, Predictor(args.bundle) as predictor:
        result = predictor.predict(args.scan)
        publisher = Publisher(Path(folder), predictor.template)
        for _ in range(args.repeats + 1):
            wall, processor = time.perf_counter(), time.process_time()
            page = publisher.write(result)
            walls.append(time.perf_counter() - wall)
            processors.append(time.process_time() - processor)
        size = page.stat().st_size
        wall = time.perf_counter()
        publisher.write_index()
        index = time.perf_counter() - wall
    summary = {
        "scan_shape": result.facts["shape"],
        "maps": len(result.maps),
        "first_seconds": {"wall": walls[0], "processor": processors[0]},
        "seconds": {
            "wall": statistics.median(walls[1:]),
            "processor": statistics.median(processors[1:]),
        },
        "megabytes": size / 1e6,
        "index_seconds": index,
        "load": os.getloadavg()[0],
    }
    print(json.dumps(summary, indent=1))
    if args.json:
        args.json.write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
