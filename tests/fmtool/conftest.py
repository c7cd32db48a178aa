"""A bundle of a few bytes."""

import pytest

from fmtool import task
from fmtool.bundle import write as bundle_write
from fmtool.bundle.manifest import Manifest

MANIFEST = Manifest.from_dict(
    {
        "name": "toy",
        "encoder": {"architecture": "resnet18", "width": 0.125, "features": 64},
        "tasks": [{**task.AGE.to_dict(), "evidence": {"metric": "MAE", "value": 5.0}}],
        "model": {"float32": "model.onnx"},
        "strip": {"locate": "a.onnx", "segment": "b.onnx"},
        "template": "template.nii.gz",
        "self_test": {"outputs": {}, "tolerance": {}},
        "files": {},
    }
)
FILES = {"model.onnx": b"m" * 100, "template.nii.gz": b"t", "LICENSES/x.txt": b"free"}


@pytest.fixture
def contents():
    """What `bundle_write.write` takes: a manifest, and files."""
    return MANIFEST, dict(FILES)


@pytest.fixture
def toy(tmp_path, contents):
    return bundle_write.write(tmp_path / "toy.fmtool", *contents)
