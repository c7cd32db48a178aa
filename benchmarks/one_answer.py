"""Whether a scan has one answer by every way in: the largest difference, of each output's spread.

    python -m benchmarks.one_answer [--data DIR] [--heads 20] [--json FILE]

The same heads by one process on all cores, on one thread, from Python as scans that were read, by
`--out` (a worker per core), and by another bundle's cache; float32 throughout. The spread is the
standard deviation over the heads of the first way, of the features together; the bar is a millionth
of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.batch import PREDICT
from benchmarks.shared import heads, script
from fmtool import bundle as bundles
from runtime import scan
from runtime.engines.choose import Wish
from runtime.predict import Predictor

BAR = 1e-6
_FLOAT32 = ("--precision", "float32")


def main() -> int:
    """Measure, print, write JSON; 1 above the bar."""
    args = script.options(__doc__, data=Path, heads=20, json=Path)
    found = heads.find(args.data)
    picked = [found[i * len(found) // args.heads] for i in range(min(args.heads, len(found)))]
    with tempfile.TemporaryDirectory() as folder:
        ways = _ways(list(dict.fromkeys(picked)), Path(folder))
    first, *others = ways
    spread = ways[first].std(axis=0)
    with bundles.open() as opened:
        values = len(opened.tasks)
    # One spread of all features: that of a cell outside of every brain is none.
    spread[values:] = np.sqrt(np.mean(spread[values:] ** 2))
    apart = {name: np.abs(ways[name] - ways[first]).max(axis=0) / spread for name in others}
    summary = {
        "heads": len(ways[first]),
        "largest difference, of the spread": {n: float(d.max()) for n, d in apart.items()},
        "equal to the bit": {n: bool(np.array_equal(ways[n], ways[first])) for n in others},
        "bar": BAR,
    }
    script.tell(summary, args.json)
    return int(not all(d.max() <= BAR for d in apart.values()))


def _ways(files: Sequence[Path], work: Path) -> dict[str, NDArray[np.float64]]:
    """Values and embeddings, a row per head, of each way."""
    names = [*map(str, files)]
    cache = ("--cache", str(work / "cache"))
    found = {"all cores": _printed(names)}
    found["one thread"] = _printed([*names, "--threads", "1"])
    for way, words in {
        "batch": (),
        "batch that keeps": cache,
        "batch from what was kept": cache,
    }.items():
        out = work / way
        command = [*PREDICT, *names, "--out", str(out), *_FLOAT32, *words]
        subprocess.run(command, check=True, capture_output=True)
        lines = (out / "results.jsonl").read_text(encoding="utf-8").splitlines()
        found[way] = _table([json.loads(line) for line in lines])
    with Predictor(wish=Wish(precision="float32")) as predictor:
        found["Python"] = _table([predictor.predict(scan.read(f)).to_dict() for f in files])
    return found


def _printed(words: Sequence[str]) -> NDArray[np.float64]:
    command = [*PREDICT, *words, "--json", *_FLOAT32]
    return _table(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))


def _table(results: Sequence[dict[str, Any]]) -> NDArray[np.float64]:
    rows = [[*(v["value"] for v in r["values"].values()), *r["embedding"]] for r in results]
    return np.array(rows, dtype=np.float64)


if __name__ == "__main__":
    sys.exit(main())
