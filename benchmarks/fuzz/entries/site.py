"""What a site's verbs read of a bundle: its model's bytes, and its reference."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from benchmarks.fuzz.entry import Entry
from fmtool.bundle import DEMO, Bundle
from fmtool.bundle.encoder import EMBEDDING
from fmtool.bundle.model_graph import ModelGraph
from runtime.trust import drift


def _graph_seeds() -> list[bytes]:
    graph = ModelGraph.read((DEMO / "model.onnx").read_bytes())
    graph.cut(["age", "sex"])
    return [bytes(graph)]


def _graph_trial(data: bytes, folder: Path) -> None:
    del folder
    graph = ModelGraph.read(data)
    graph.rescale("age", 0.5, 1.0)
    graph.add_head("gap", "gap_map", [1.0, 2.0], 0.0)
    graph.keep([EMBEDDING, "gap"])
    bytes(graph)
    ModelGraph.read(data).cut(["age"])


GRAPH = Entry(
    _graph_seeds, _graph_trial, (b"embedding", b"age", b"ReduceMean", b"\x3a", b"\xff" * 9)
)


def _reference_seeds() -> list[bytes]:
    known = drift.reference([{"noise": 1.0 + i} for i in range(12)], {"age": [0.5] * 12}, 12)
    return [json.dumps(known.to_dict()).encode()]


def _reference_trial(data: bytes, folder: Path) -> None:
    manifest = SimpleNamespace(reference=drift.FILE)
    given = {"read": lambda name: data, "file": lambda name: folder / name}
    known = drift.read(cast(Bundle, SimpleNamespace(manifest=manifest, **given)))
    result = {"values": {}, "novelty_p": 0.5, "quality": [{"name": "noise", "value": 2.0}]}
    if known is not None:
        drift.look(known, [result] * 12, {"age": [1.0] * 12})


REFERENCE = Entry(_reference_seeds, _reference_trial, structured="json")
