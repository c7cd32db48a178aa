"""What a report costs: seconds of wall time and of processor time, and megabytes, per page.

    python -m benchmarks.report SCAN [--bundle B] [--repeats 5] [--json FILE]

The first page of a process draws the template's contours, which the later ones reuse. A busy
machine stretches wall time, not processor time.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.shared import script
from runtime.predict import Predictor
from runtime.report.publish import Publisher


def main() -> None:
    """Measure, print, and write JSON."""
    args = script.options(__doc__, "scan", bundle=Path, repeats=5, json=Path)
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
        index = script.timed(publisher.write_index)[1]
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
    script.tell(summary, args.json)


if __name__ == "__main__":
    main()
