"""The client example, against a stand-in for tritonclient that checks what it is given."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from fmtool import bundle as bundles
from fmtool import space

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "triton_client.py"


class InferInput:
    def __init__(self, name, shape, datatype):
        self.name, self.shape, self.datatype = name, shape, datatype

    def set_data_from_numpy(self, array):
        assert array.dtype == {"FP32": np.float32}[self.datatype]
        assert list(array.shape) == self.shape
        self.array = array


class InferRequestedOutput:
    def __init__(self, name):
        self.name = name


class Client:
    def __init__(self, digest):
        self.digest = digest

    def get_model_config(self, name):
        return {"name": name, "parameters": {"bundle_digest": {"string_value": self.digest}}}

    def infer(self, name, inputs, outputs):
        self.asked = (name, {i.name: i for i in inputs}, [o.name for o in outputs])
        return SimpleNamespace(as_numpy=lambda task: np.zeros((1, 1), np.float32))


@pytest.fixture
def example(monkeypatch):
    http = ModuleType("tritonclient.http")
    http.InferInput, http.InferRequestedOutput = InferInput, InferRequestedOutput
    http.InferenceServerClient = Client
    package = ModuleType("tritonclient")
    package.http = http
    monkeypatch.setitem(sys.modules, "tritonclient", package)
    monkeypatch.setitem(sys.modules, "tritonclient.http", http)
    spec = importlib.util.spec_from_file_location("triton_client", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    volume = np.arange(np.prod(space.CROP_SHAPE), dtype=np.float64).reshape(space.CROP_SHAPE)
    prepared = SimpleNamespace(volume=volume, mask=volume > 5)
    monkeypatch.setattr(module, "prepare", lambda scan, bundle: prepared)
    monkeypatch.setattr(module.scan, "read", lambda path: None)
    return module


def test_names_shapes_and_types_are_the_models(example):
    bundle = bundles.open()
    client = Client(bundle.digest)
    values = example.predict(client, bundle, "scan.nii.gz")
    name, tensors, outputs = client.asked
    assert name == "demo"
    assert tensors.keys() == {"volume", "mask"}
    for tensor in tensors.values():
        assert tensor.array.shape == (1, 1, *space.CROP_SHAPE)
        assert tensor.datatype == "FP32"
    assert set(np.unique(tensors["mask"].array)) == {0.0, 1.0}
    assert outputs == list(bundle.tasks)
    assert values == {"age": 0.0, "sex": 0.5}


def test_a_server_with_another_bundles_model_is_not_believed(example):
    with pytest.raises(SystemExit, match="of the bundle 0123, not of this one"):
        example.predict(Client("0123"), bundles.open(), "scan.nii.gz")
