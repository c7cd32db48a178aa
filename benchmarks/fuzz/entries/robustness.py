"""What a bundle says of how far its outputs move: `runtime.trust.robustness.read`."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.fuzz.entries import made_bundle
from benchmarks.fuzz.entry import Entry
from fmtool import bundle as bundles
from fmtool.bundle import MANIFEST
from runtime.trust import robustness

_SHIFT = {"median": 0.5, "share": 0.1}
_ROW = {
    **{"name": "turned by 5 degrees", "judged": True, "refused": 1, "heads": 3},
    **{"outputs": {"age": _SHIFT}, "embedding": {"median": 0.1}},
}
_WHOLE = {
    **{"format": robustness.FORMAT, "engine": "none", "heads": 3, "sets": ["a", "b"]},
    **{"bundle": {"name": "made", "digest": "0" * 64}, "perturbations": [_ROW]},
    **{"errors": {"age": {"unit": "years"}}, "values": {"age": {"q1": 30.0, "q3": 40.0}}},
}


def _trial(data: bytes, folder: Path) -> None:
    told = {**made_bundle.manifest(), "robustness": "trust.json"}
    made = made_bundle.write(folder, told, data)
    assert (made / MANIFEST).exists()
    with bundles.open(made) as bundle:
        robustness.read(bundle)


ENTRY = Entry(lambda: [json.dumps(_WHOLE).encode()], _trial, structured="json")
