"""A request's engines: built, missing or failed, and what lands in the cache."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from export.targets import trt_engines
from export.targets.request import request
from fmtool.errors import CapabilityError, EngineError
from runtime.engines import cuda
from runtime.engines.trt import cached
from runtime.engines.trt.build import Plan


@pytest.fixture
def bundle():
    return SimpleNamespace(
        digest="d1g", name="tiny", graph=lambda precision: Path(f"{precision}.onnx")
    )


@pytest.fixture
def library(monkeypatch):
    """A library that is there, on a machine without a GPU; `.asked` is what it was to build."""
    asked = []

    def build(model, library, target, batches, *options):
        asked.append((model, library, target, batches))
        if target == "sm80":
            raise EngineError("node 'conv' is too much")
        return Plan(b"engine", library, "1.7", target, {"layers": []}, {"layers": []})

    monkeypatch.setattr(cuda, "architecture", lambda number=0: None)
    monkeypatch.setattr(cuda, "missing", lambda number=0: "no NVIDIA driver is installed")
    monkeypatch.setattr(trt_engines, "load", lambda name: None)
    monkeypatch.setattr(cached, "load", lambda name: SimpleNamespace(__version__="1.7"))
    monkeypatch.setattr(cached, "build", build)
    return SimpleNamespace(asked=asked)


def run(bundle, folder, *words, **more):
    steps = []
    outcome = trt_engines.build_all(bundle, request(*words, **more), folder, steps.append)
    return outcome, steps


def test_each_target_is_built_from_the_precision_asked_for(bundle, library, tmp_path):
    outcome, steps = run(bundle, tmp_path, ["fp16", "rtx"], ["sm89", "sm120"], "1,4,8")
    assert library.asked == [
        (Path("float16.onnx"), "rtx", target, (1, 4, 8)) for target in ("sm89", "sm120")
    ]
    assert [built.path.name for built in outcome.built] == [
        "model.fp16.sm89.b1-4-8.rtx", "model.fp16.sm120.b1-4-8.rtx",
    ]  # fmt: skip
    assert len(steps) == 2
    content = json.loads(Path(f"{outcome.built[0].path}.json").read_text(encoding="utf-8"))
    assert content["key"]["version"] == "1.7"
    assert content["bytes"] == 6
    assert {"seconds", "network", "engine", "name"} < content.keys()


def test_one_that_fails_stops_no_other(bundle, library, tmp_path):
    outcome, _ = run(bundle, tmp_path, ["rtx"], ["sm80", "sm89"])
    assert outcome.failed == ["node 'conv' is too much"]
    assert [built.path.name for built in outcome.built] == ["model.sm89.b1-1-1.rtx"]


def test_without_a_gpu_or_a_target_nothing_is_built_and_it_says_why(bundle, library, tmp_path):
    outcome, steps = run(bundle, tmp_path / "cache", ["rtx", "tensorrt"])
    assert (outcome.built, outcome.failed, steps) == ([], [], [])
    assert [sentence.split(":")[0] for sentence in outcome.absent] == [
        "no TensorRT engine was built", "no TensorRT-RTX engine was built",
    ]  # fmt: skip
    assert "no NVIDIA driver is installed; name one with --target" in outcome.absent[1]
    assert not (tmp_path / "cache").exists()


def test_a_missing_library_is_reported_once(bundle, library, tmp_path, monkeypatch):
    def absent(name):
        raise CapabilityError(f"{name} is not there")

    monkeypatch.setattr(trt_engines, "load", absent)
    outcome, _ = run(bundle, tmp_path, ["rtx"], ["sm89", "sm120"])
    assert outcome.absent == ["no TensorRT-RTX engine was built: rtx is not there"]
    outcome, steps = run(bundle, tmp_path, ["fp16"])
    assert outcome.absent == [
        "no TensorRT engine was built: tensorrt is not there",
        "no TensorRT-RTX engine was built: rtx is not there",
    ]
    assert (outcome.failed, steps) == ([], [])


def test_fp16_alone_builds_for_the_gpu_at_hand(bundle, library, tmp_path, monkeypatch):
    monkeypatch.setattr(cuda, "architecture", lambda number=0: "sm89")
    outcome, _ = run(bundle, tmp_path, ["fp16"])
    assert [built.key.library for built in outcome.built] == ["tensorrt", "rtx"]


def test_fp16_alone_beside_a_hopper_says_nothing_of_rtx(bundle, library, tmp_path, monkeypatch):
    monkeypatch.setattr(cuda, "architecture", lambda number=0: "sm90")
    outcome, _ = run(bundle, tmp_path, ["fp16"])
    assert [built.key.library for built in outcome.built] == ["tensorrt"]
    assert (outcome.absent, outcome.failed) == ([], [])
