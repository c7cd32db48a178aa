"""What the documents of an answer cost: seconds, and memory beyond what predicting took.

    python -m benchmarks.documents SERIES [--bundle B] [--repeats 5] [--json FILE]

SERIES is a folder or a zip of a DICOM series. The first time in a process loads the libraries; the
node makes all documents in the process that predicts. A busy machine stretches wall time, not
processor time. Memory is resident: what is held once the libraries are loaded, and the peak.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
import zipfile
from pathlib import Path

from benchmarks.shared import script
from runtime.predict import Predictor
from runtime.service.answer import Order
from runtime.service.node.documents import documents

_PEAK = Path("/proc/self/clear_refs")


def main() -> None:
    """Measure, print, and write JSON."""
    args = script.options(__doc__, "series", bundle=Path, repeats=5, json=Path)
    walls, processors, peaks = [], [], []
    with tempfile.TemporaryDirectory() as name, Predictor(args.bundle) as predictor:
        series = _inbox(args.series, Path(name))
        result = predictor.predict(series)
        order = Order(series, Path(name), "series", "0" * 64)
        before, predicting = _memory("VmRSS"), _memory("VmHWM")
        for _ in range(args.repeats + 1):
            _PEAK.write_text("5")  # the peak begins anew
            wall, processor = time.perf_counter(), time.process_time()
            made = documents(order, result, predictor.template, fhir=True)
            walls.append(time.perf_counter() - wall)
            processors.append(time.process_time() - processor)
            peaks.append(_memory("VmHWM") - before)
    summary = {
        "documents": {file: len(data) / 1e6 for file, data in made.items()},
        "first_seconds": {"wall": walls[0], "processor": processors[0]},
        "seconds": {
            "wall": statistics.median(walls[1:]),
            "processor": statistics.median(processors[1:]),
        },
        "more_megabytes": {"peak": max(peaks) / 1e6, "held": (_memory("VmRSS") - before) / 1e6},
        "peak_of_predicting_megabytes": predicting / 1e6,
        "load": os.getloadavg()[0],
    }
    script.tell(summary, args.json)


def _inbox(series: Path, folder: Path) -> Path:
    """A copy of the series, as the node's inbox has it."""
    target = folder / "answering" / "series"
    target.mkdir(parents=True)
    if series.is_file():
        with zipfile.ZipFile(series) as archive:
            archive.extractall(folder / "unpacked")
        series = folder / "unpacked"
    for number, file in enumerate(sorted(p for p in series.rglob("*") if p.is_file())):
        shutil.copy(file, target / f"{number}.dcm")
    return target


def _memory(what: str) -> int:
    """Bytes, of `/proc/self/status`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit(f"this system does not tell {what}")


if __name__ == "__main__":
    main()
