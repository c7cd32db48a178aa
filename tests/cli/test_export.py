"""`fmtool export`: engines on request, what is missing in one sentence, mistakes before the work.

The bundle itself, which takes its time, stands ready here; test_train.py makes one for real.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fmtool import bundle, cli
from fmtool.cli.calibration import Scans
from fmtool.errors import BundleError, CapabilityError, EngineError, UsageError
from runtime.engines import cuda
from runtime.engines.trt.bindings import LIBRARIES, load

packing = pytest.importorskip("export.pack")


@pytest.fixture
def export(monkeypatch, tmp_path):
    """`export("--rtx", ...)`, which "packs" the demonstration bundle; no GPU is there."""
    monkeypatch.setattr(packing, "pack", lambda *args, **options: bundle.open())
    monkeypatch.setattr(cuda, "architecture", lambda number=0: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def run(*words: object):
        words = ("export", "encoder", "-o", tmp_path / "new.fmtool", *words)
        return CliRunner().invoke(cli.app, list(map(str, words)))

    return run


@pytest.fixture
def without(monkeypatch):
    """Neither library is installed."""
    for library in LIBRARIES.values():
        for name in library.modules:
            monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rtx", "--target", "sm89"), "pip install 'fmtool[rtx]'"),
        (("--fp16", "--target", "sm89"), "pip install 'fmtool[rtx]'"),
        (("--tensorrt",), "pip install 'fmtool[tensorrt]'"),
    ],
)
def test_a_missing_library_is_said_and_the_bundle_is_written(export, without, words, said):
    done = export(*words)
    assert done.exit_code == 0
    assert "model.onnx" in done.stdout
    assert done.stderr.count("\n") == 1
    assert "engine was built" in done.stderr
    assert said in done.stderr
    assert said not in done.stdout


def test_fp16_alone_says_what_both_libraries_lack(export, without):
    done = export("--fp16")
    assert done.exit_code == 0
    assert "model.fp16.onnx" in done.stdout
    assert done.stderr.count("\n") == 2
    for extra in ("tensorrt", "rtx"):
        assert f"pip install 'fmtool[{extra}]'" in done.stderr


def test_fp16_where_a_library_is_there_says_that_a_gpu_is_missing(export):
    try:
        load("rtx")
    except CapabilityError as error:
        pytest.skip(str(error))
    done = export("--fp16")
    assert done.exit_code == 0
    assert "TensorRT-RTX finds no GPU to build for" in done.stderr
    assert "name one with --target" in done.stderr


def test_triton_beside_the_bundle(export, without, tmp_path):
    done = export("--triton", tmp_path / "models", "--batch", "1,4,8")
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"{tmp_path / 'models' / 'demo'}  (from model.onnx)" in done.stdout
    assert "max_batch_size: 8" in (tmp_path / "models" / "demo" / "config.pbtxt").read_text(
        encoding="utf-8"
    )


def test_triton_serves_onnx_where_no_engine_could_be_built_and_says_so(export, without, tmp_path):
    done = export("--fp16", "--tensorrt", "--triton", tmp_path / "models")
    assert done.exit_code == 0
    assert "no TensorRT engine was built" in done.stderr
    assert f"{tmp_path / 'models' / 'demo'}  (from model.fp16.onnx)" in done.stdout


def test_a_triton_model_that_is_there_is_refused_before_the_work(export, monkeypatch, tmp_path):
    monkeypatch.setattr(packing, "pack", lambda *args, **options: pytest.fail("it began"))
    (tmp_path / "models" / "new").mkdir(parents=True)
    done = export("--triton", tmp_path / "models")
    assert isinstance(done.exception, BundleError)
    assert "--overwrite" in str(done.exception)


def test_the_batches_and_the_cohorts_scans_go_to_the_gates(export, monkeypatch, tmp_path):
    asked = {}
    monkeypatch.setattr(
        packing, "pack", lambda *args, **options: asked.update(options) or bundle.open()
    )
    monkeypatch.setattr(
        "fmtool.cli.calibration.volumes",
        lambda cohort, cache, source, int8: Scans(
            [str(cohort), str(cache)], [int8], {"noise": [1.0, 2.0]}
        ),
    )
    export("--batch", "2,4,8", "--calibration", "cohort.csv", "--cache", "here")
    assert asked["batches"] == (1, 2, 4, 8)
    assert asked["volumes"] == ["cohort.csv", "here"]
    assert asked["int8"] == [False]
    assert asked["ranges"] == {"noise": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--target", "sm89"), "--target belongs to"),
        (("--rtx", "--target", "sm90"), "has no engines for sm90"),
        (("--rtx", "--target", "hopper"), "'hopper' is no GPU architecture"),
        (("--rtx", "--batch", "4,1,8"), "smallest,usual,largest"),
    ],
)
def test_mistakes_end_before_the_work(export, monkeypatch, words, said):
    monkeypatch.setattr(packing, "pack", lambda *args, **options: pytest.fail("it began"))
    done = export(*words)
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)


def test_a_process_says_it_with_exit_code_2(fmtool, tmp_path):
    done = fmtool("export", "absent", "-o", tmp_path / "x.fmtool", "--rtx", "--target", "sm90")
    assert done.returncode == 2
    assert "has no engines for sm90" in done.stderr


def test_a_model_that_does_not_compile_is_exit_code_1(export, monkeypatch):
    monkeypatch.setattr("export.targets.trt_engines.load", lambda library: None)
    monkeypatch.setattr("runtime.engines.trt.cached.build", _refuse)
    done = export("--rtx", "--target", "sm89")
    assert done.exit_code == 1
    assert "model.onnx" in done.stdout
    assert "node 'conv'" in done.stderr


def _refuse(*args, **options):
    raise EngineError("TensorRT-RTX cannot compile it: node 'conv'")


@pytest.mark.rtx
def test_an_engine_of_the_demonstration_bundle(export, tmp_path):
    try:
        load("rtx")
    except CapabilityError as error:
        pytest.skip(str(error))
    done = export("--rtx", "--target", "sm89", "--batch", "1,2,4", "--engines", tmp_path / "here")
    assert done.exit_code == 0, done.output
    (engine,) = (tmp_path / "here").rglob("*.rtx")
    assert engine.name == "model.sm89.b1-2-4.rtx"
    assert str(engine) in done.stdout
    content = json.loads(Path(f"{engine}.json").read_text(encoding="utf-8"))
    assert content["key"]["bundle"] == engine.parent.name == bundle.open().digest
    assert content["bytes"] == engine.stat().st_size
    assert len(content["engine"]["layers"]) > 20
