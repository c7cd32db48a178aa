"""What two batches answered, compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_TIMES = ("timings", "finished")
_NUMBERS = ("embedding", "values")


def answers(out: Path) -> list[dict[str, Any]]:
    """A batch's rows without times."""
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in _TIMES} for line in lines]


def differences(
    expected: Sequence[dict[str, Any]], got: Sequence[dict[str, Any]], where: str
) -> list[str]:
    """What the rows of two runs do not share; embeddings may differ by rounding."""
    if [row["scan"] for row in expected] != [row["scan"] for row in got]:
        return [f"{where}: other scans, or in another order"]
    said = []
    for one, other in zip(expected, got, strict=True):
        a, b = (np.array(row.get("embedding", [])) for row in (one, other))
        same = a.shape == b.shape and np.allclose(a, b, rtol=1e-5, atol=1e-6)
        rest = [{k: v for k, v in row.items() if k not in _NUMBERS} for row in (one, other)]
        values = [{k: v["value"] for k, v in row.get("values", {}).items()} for row in (one, other)]
        same = same and values[0].keys() == values[1].keys()
        same = same and np.allclose([*values[0].values()], [*values[1].values()], rtol=1e-5)
        if not same or rest[0] != rest[1]:
            said.append(f"{where}: {one['scan']} has another answer")
    return said
