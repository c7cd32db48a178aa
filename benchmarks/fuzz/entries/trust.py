"""A bundle's calibration: `runtime.trust.read`, and every answer that uses it."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.fuzz.entries import made_bundle
from benchmarks.fuzz.entries.used_bundle import _answer
from benchmarks.fuzz.entry import Entry
from fmtool import bundle as bundles


def _trial(data: bytes, folder: Path) -> None:
    with bundles.open(made_bundle.write(folder, made_bundle.manifest(), data)) as bundle:
        _answer(bundle)


def _seeds() -> list[bytes]:
    whole = made_bundle.trust()
    points = {"kind": "isotonic", "logits": [-1.0, 0.0, 1.0], "probabilities": [0.1, 0.5, 0.9]}
    whole["sex"]["probability"] = points
    return [json.dumps(made_bundle.trust()).encode(), json.dumps(whole).encode()]


ENTRY = Entry(_seeds, _trial, structured="json")
