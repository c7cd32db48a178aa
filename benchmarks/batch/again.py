"""What a second bundle costs on a cohort that a first one was answered for."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.batch import PREDICT
from benchmarks.batch.scans import copies
from benchmarks.batch.throughput import timed
from fmtool import bundle as bundles
from fmtool.bundle import seal


def again(scan: Path, count: int, work: Path) -> dict[str, Any]:
    """Seconds of both bundles, and the second's beside its network's own.

    Both have the demonstration's models; the second is another bundle by its digest.
    """
    folder = copies(scan, count, work / "in")
    bundle = shutil.copytree(bundles.DEMO, work / "other.fmtool")
    manifest = bundle / bundles.MANIFEST
    manifest.write_text(manifest.read_text().replace('"demo"', '"other"', 1))
    (bundle / seal.FILE).write_bytes(seal.of(manifest.read_bytes(), manifest.name))
    cache, answers = ["--cache", str(work / "cache")], {}
    found: dict[str, Any] = {"scans": count}
    for name, words in {
        "first bundle": cache,
        "second bundle": ["--bundle", str(bundle), *cache],
        "second bundle, nothing kept": ["--bundle", str(bundle)],
    }.items():
        out = work / name
        took = timed([[*PREDICT, str(folder), "--out", str(out), *words]])
        lines = (out / "results.jsonl").read_text().splitlines()
        results = [json.loads(line) for line in lines]
        answers[name] = [(r["values"], r["embedding"], r["quality"]) for r in results]
        network = sum(r["timings"]["network"] for r in results)
        ends = sorted(datetime.fromisoformat(r["finished"]) for r in results)
        steady = (ends[-1] - ends[0]).total_seconds() / (count - 1) * count
        found[name] = {
            **took,
            "network": network,
            "ratio to its network": took["wall"] / network,
            "ratio to its network, without the start": steady / network,
        }
    kept, anew = (answers[n] for n in ("second bundle", "second bundle, nothing kept"))
    found["problems"] = [] if kept == anew else ["answers differ from those of nothing kept"]
    return found
