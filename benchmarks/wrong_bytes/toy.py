"""A bundle of a few hundred bytes, small enough to try every bit of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fmtool.bundle import write as bundle_write
from fmtool.bundle.manifest import Manifest
from fmtool.task import AGE

_MANIFEST: dict[str, Any] = {
    "name": "toy",
    "encoder": {"architecture": "resnet18", "width": 0.125, "features": 64},
    "tasks": [{**AGE.to_dict(), "evidence": {"metric": "MAE", "value": 5.0}}],
    "model": {"float32": "model.onnx"},
    "strip": {"locate": "model.onnx", "segment": "model.onnx"},
    "template": "model.onnx",
    "self_test": {"outputs": {}, "tolerance": {}},
    "files": {},
}


def write(folder: Path) -> Path:
    """The toy's folder, made in `folder`."""
    files: dict[str, Path | bytes] = {
        "model.onnx": bytes(range(64)),
        "MODEL_CARD.md": b"# toy\n",
        "LICENSES/x.txt": b"free\n",
    }
    manifest = Manifest.from_dict(_MANIFEST)
    return bundle_write.write(folder / "toy.fmtool", manifest, files).path
