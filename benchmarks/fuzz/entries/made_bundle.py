"""A tiny bundle that nothing can run: its manifest is whole, its models are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fmtool import bundle as bundles
from fmtool.files import sha256
from fmtool.task import AGE, SEX
from runtime.trust import Trust

FEATURES = 4
FILES: dict[str, Path | bytes] = {
    "MODEL_CARD.md": b"# card\n",
    "model.onnx": b"no model",
    "strip_locate.onnx": b"",
    "strip_segment.onnx": b"",
    "template.nii.gz": b"no template",
}


def trust() -> dict[str, Any]:
    """What `trust.json` holds, of two heads."""
    rng = np.random.default_rng(3)
    scans, heads = 12, 3
    folds = {
        "weight": rng.normal(size=(heads, FEATURES)).tolist(),
        "bias": [0.1, 0.2, 0.3],
        "fold": (np.arange(scans) % heads).tolist(),
        "score": rng.random(scans).tolist(),
        "mass": [1.0] * scans,
    }
    shape = {
        **{"centre": [0.0] * FEATURES, "scale": [1.0] * FEATURES, "axes": [[1.0, 0, 0, 0]]},
        **{"gain": [0.5], "rest": 1.5, "distances": sorted(rng.random(scans).tolist())},
    }
    difficulty = {
        "weight": folds["weight"],
        "bias": [0.0] * 3,
        "low": [-1.0] * 3,
        "high": [1.0] * 3,
    }
    common = {"level": 0.8, "folds": folds, "novelty": {**shape, "mass": [1.0] * scans}}
    age = {"difficulty": difficulty, "labels": None, "by_class": False, "probability": None}
    labels = {"difficulty": None, "labels": [0.0, 1.0] * (scans // 2), "by_class": True}
    sigmoid = {"kind": "platt", "slope": 1.0, "intercept": 0.0}
    found = {
        "age": {**common, **age, "tendency": [0.5, 12.0]},
        "sex": {**common, **labels, "probability": sigmoid, "tendency": None},
    }
    for data in found.values():
        Trust.from_dict(data)
    return found


def manifest() -> dict[str, Any]:
    """A manifest with every field that is known."""
    evidence = {
        **{"metric": "MAE", "unit": "years", "value": 7.4, "interval": [5.8, 8.9], "n": 28},
        **{"baseline": 7.1, "baseline_name": "mean", "beats_baseline": False, "sites": ["a"]},
        **{"label_range": [19.0, 46.0], "label_quartiles": [27.0, 31.0, 40.0], "sample": "28"},
        "brain_volume": {"value": 7.0, "difference_interval": [0.1, 0.2], "head_is_better": False},
    }
    heads = [{"output": task.name, "map": f"{task.name}_map"} for task in (AGE, SEX)]
    tasks = [
        {**task.to_dict(), "evidence": evidence, **head}
        for task, head in zip((AGE, SEX), heads, strict=True)
    ]
    tolerance = {"float32": 1e-4, "tasks": {"age": {"float32": 0.01}}}
    outputs = {"embedding": [1.0] * FEATURES, "age": [33.0], "sex": [0.5]}
    facts = {"architecture": "resnet18", "width": 0.125, "features": FEATURES, "sha256": "0" * 64}
    return {
        "format": json.loads((bundles.DEMO / bundles.MANIFEST).read_bytes())["format"],
        "name": "made",
        "created": "2026-01-01",
        "fmtool": "0.1.0",
        "encoder": {**facts, "source": "made", "parameters": 1000},
        "tasks": tasks,
        "model": {"float32": "model.onnx"},
        "parity": {},
        "strip": {"locate": "strip_locate.onnx", "segment": "strip_segment.onnx"},
        "template": "template.nii.gz",
        "trust": "trust.json",
        "self_test": {"outputs": outputs, "tolerance": tolerance},
        "calibration": {"contrast": [0.1, 0.9]},
        "demonstration": True,
        "limits": ["made"],
        "files": {},
    }


def write(folder: Path, told: dict[str, Any], trust_json: bytes) -> Path:
    """The bundle in `folder`; a hostile maker has the digests right."""
    made = folder / "made.fmtool"
    made.mkdir(parents=True)
    listed = {}
    for name, content in {**FILES, "trust.json": trust_json}.items():
        assert isinstance(content, bytes)
        (made / name).write_bytes(content)
        listed[name] = {"sha256": sha256(made / name), "bytes": len(content)}
    if told.get("files") == {}:
        told = {**told, "files": listed}
    (made / bundles.MANIFEST).write_text(json.dumps(told), encoding="utf-8")
    return made
