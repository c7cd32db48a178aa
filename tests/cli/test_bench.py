"""`fmtool bench`: a whole run on a network of milliseconds, what it says, and how it fails."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from benchmarks.bench import candidates, files, run
from fmtool import cli
from fmtool.errors import CapabilityError, InputError, UsageError

_SLEEPY = """
import time
from benchmarks.bench import worker
from benchmarks.bench.engine_system import EngineSystem

class Sleepy(EngineSystem):
    def run(self, inputs):
        time.sleep(0.3)
        return super().run(inputs)

worker.open_system = Sleepy
worker.main()
"""

_WRONG = """
import sys
from benchmarks.bench import worker
from benchmarks.bench.engine_system import EngineSystem

class Wrong(EngineSystem):
    def run(self, inputs):
        outputs = super().run(inputs)
        outputs["embedding"][:] = float("nan")
        outputs["age"] += 2.0
        return outputs

worker.open_system = Wrong
print("a library talks on standard output")
worker.main()
"""

_DIES = {
    "said": ("raise RuntimeError('no such luck')", "code 1: RuntimeError: no such luck"),
    "silent": ("import sys; sys.exit(7)", "code 7: no word of why"),
    "killed": ("import os; os.kill(os.getpid(), 9)", "was killed: too little memory"),
}


@pytest.fixture(scope="session")
def bundles_of_bench() -> ModuleType:
    """The module that makes a tiny bundle for the tests of `benchmarks.bench`."""
    path = Path(__file__).parents[1] / "benchmarks" / "bench" / "tiny.py"
    spec = importlib.util.spec_from_file_location("tiny_bundle", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny(bundles_of_bench, tmp_path_factory):
    return bundles_of_bench.make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def bench(tiny, monkeypatch, tmp_path):
    """`bench("--repeats", 2)` in this process, on the tiny bundle; its workers are processes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def invoke(*words: object):
        words = ("bench", "--bundle", tiny.path, *words)
        return CliRunner().invoke(cli.app, list(map(str, words)))

    return invoke


@pytest.fixture
def beside(monkeypatch, tmp_path):
    """`beside(script)`: a stand-in, a script in a process of its own, runs beside onnxruntime."""
    found = candidates.find

    def add(script: str, name: str = "stand-in float32", alone: bool = False) -> None:
        path = tmp_path / "stand_in.py"
        path.write_text(script)

        def find(bundle, engines, precisions, device):
            (plain,), absent = found(bundle, ["onnxruntime"], ["float32"], "cpu")
            other = replace(plain, name=name, command=(sys.executable, str(path)))
            return ([other] if alone else [other, plain]), absent

        monkeypatch.setattr(candidates, "find", find)

    return add


@pytest.mark.slow
def test_a_slower_engine_is_reported_slower(bench, beside, tmp_path):
    beside(_SLEEPY, "sleepy float32")
    report, tables, picture = (tmp_path / f"report.{kind}" for kind in ("json", "md", "png"))
    done = bench(
        *("--seconds", 0.05, "--batch", "1,2", "--out", report, "--markdown", tables),
        *("--plot", picture, "--check", "latency_p90<0.05,embedding_error<1e-6,energy<-1"),
    )
    assert done.exit_code == 1, done.output
    assert "sleepy float32: latency_p90<0.05 is missed" in done.stderr
    assert "onnxruntime float32: energy<-1" in done.stderr
    assert "embedding_error" not in done.stderr
    content = json.loads(report.read_text(encoding="utf-8"))
    assert content["schema"] == run.SCHEMA == "fmtool.bench/1"
    assert content["machine"]["bundle"]["name"] == "tiny"
    assert content["reference"] == "onnxruntime float32"
    sleepy, plain = content["systems"]
    assert (sleepy["name"], plain["name"]) == ("sleepy float32", "onnxruntime float32")
    assert sleepy["metrics"].keys() == {column["name"] for column in content["columns"]}
    for system in (sleepy, plain):
        every = [s for block in system["latency"]["rounds"] for s in block]
        assert system["latency"]["n"] == len(every) >= 10
        for name, value in system["metrics"].items():
            assert value is not None or system["reasons"][name], name
        assert set(system["cold_start"]) == {"interpreter", "library", "bundle", "compile", "first"}
        assert system["metrics"]["cold_start"] > system["latency"]["min"]
        assert 0.03 < system["metrics"]["peak_memory"] < 3.0
        assert 0.005 < system["metrics"]["engine_memory"] < system["metrics"]["peak_memory"] - 0.02
        assert system["self_test"]["passed"]
        assert system["split"] is None
    slow, fast = sleepy["metrics"], plain["metrics"]
    assert slow["latency_min"] >= 0.3
    assert fast["latency_median"] < slow["latency_median"]
    assert fast["speedup"] == 1.0 > slow["speedup"]
    assert slow["throughput_1"] < fast["throughput_1"]
    faster = next(r for r in content["ratios"] if r["system"] == plain["name"])
    assert faster["ratio"] == pytest.approx(slow["latency_median"] / fast["latency_median"])
    assert faster["interval"][0] > 1.0
    for text in (done.stdout, tables.read_text(encoding="utf-8")):
        assert "SingleStream" in text
        assert "not applicable on the CPU" in text
    assert "| sleepy float32 |" in tables.read_text(encoding="utf-8")
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_wrong_outputs_are_seen(bench, beside):
    beside(_WRONG)
    words = ("--seconds", 0.01, "--batch", 1)
    done = bench(*words, "--check", "age_shift<1,embedding_error<1,sex_shift<1")
    assert done.exit_code == 1, done.output
    assert "stand-in float32: age_shift<1 is missed: it is 2" in done.stderr
    assert "embedding_error<1 cannot be told: an output is not a finite number" in done.stderr
    assert "sex_shift" not in done.stderr


@pytest.mark.parametrize("how", _DIES)
def test_a_process_that_ends_is_said(bench, beside, how):
    script, said = _DIES[how]
    beside(script, alone=True)
    done = bench("--repeats", 1)
    assert isinstance(done.exception, CapabilityError)
    assert said in str(done.exception)


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("--check", "latency<1"), UsageError, "knows no 'latency'"),
        (("--check", "latency_p90"), UsageError, "does not understand"),
        (("--batch", "0"), UsageError, "whole numbers above zero"),
        (("--seconds", "1", "--repeats", "1"), UsageError, "exclude each other"),
        (("--engine", "auto"), UsageError, "is not measured"),
        (("--engine", "abacus"), UsageError, "unknown engine"),
        (("--precision", "float8"), UsageError, "unknown precision"),
        (("--against", "jax"), UsageError, "torch:eager"),
        (("--against", "openvino", "--device", "cuda"), CapabilityError, "on the CPU, not on cuda"),
        (("--out", "/no/such/folder/x.json"), InputError, "cannot write"),
        (("absent.nii.gz", "--repeats", "1"), InputError, "absent.nii.gz"),
    ],
)
def test_mistakes_end_before_the_work(bench, monkeypatch, words, error, said):
    monkeypatch.setattr("benchmarks.bench.run.Worker", lambda *args: pytest.fail("it began"))
    done = bench(*words)
    assert isinstance(done.exception, error), done.output
    assert said in str(done.exception)


def test_what_a_plot_needs_is_said_before_the_work(bench, monkeypatch, tmp_path):
    monkeypatch.setattr("benchmarks.bench.run.Worker", lambda *args: pytest.fail("it began"))
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    done = bench("--plot", tmp_path / "x.png")
    assert isinstance(done.exception, CapabilityError)
    assert "fmtool[bench]" in str(done.exception)


def test_what_torch_needs_is_said_before_the_work(bench, monkeypatch):
    monkeypatch.setattr("benchmarks.bench.run.Worker", lambda *args: pytest.fail("it began"))
    monkeypatch.setattr(candidates, "find_spec", lambda name: None)
    done = bench("--against", "torch")
    assert isinstance(done.exception, CapabilityError)
    assert "fmtool[train]" in str(done.exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--engine", "onnxruntime", "--precision", "bfloat16"), "does not compute in bfloat16"),
        (("--engine", "tensorrt"), "tensorrt"),
        (("--engine", "onnxruntime", "--device", "cuda"), "cuda"),
        (("--engine", "onnxruntime", "--precision", "int8"), "int8"),
    ],
)
def test_a_named_engine_that_cannot_run_is_exit_code_3(bench, words, said):
    done = bench("--repeats", 1, *words)
    assert isinstance(done.exception, CapabilityError), done.output
    assert said in str(done.exception)


def test_a_process_says_it_with_its_exit_code(fmtool):
    done = fmtool("bench", "--engine", "tensorrt", "--repeats", 1)
    assert done.returncode == 3
    assert "tensorrt cannot run" in done.stderr
    assert fmtool("bench", "--check", "nonsense").returncode == 2


@pytest.mark.slow
def test_openvino_as_it_comes_is_a_peer(bench, tmp_path):
    report = tmp_path / "report.json"
    done = bench(
        *("--engine", "onnxruntime", "--precision", "float32", "--repeats", 2, "--batch", 2),
        *("--against", "openvino:float32", "--out", report),
    )
    assert done.exit_code == 0, done.output
    content = json.loads(report.read_text(encoding="utf-8"))
    ours, plain = content["systems"]
    assert (plain["name"], plain["peer"], ours["peer"]) == ("plain openvino float32", True, False)
    assert plain["metrics"]["embedding_error"] < 1e-5
    assert plain["metrics"]["throughput_2"] > 0
    assert content["baseline"] == "plain openvino float32"
    assert [(r["system"], r["against"]) for r in content["ratios"]] == [
        ("onnxruntime float32", "plain openvino float32")
    ]


def test_a_peer_is_not_the_engine_that_was_named(bench, monkeypatch):
    monkeypatch.setattr(candidates, "find", lambda *args: ([], {"openvino bfloat16": "too old"}))
    done = bench("--precision", "bfloat16", "--repeats", 1, "--against", "openvino:float32")
    assert isinstance(done.exception, CapabilityError)
    assert str(done.exception) == "bfloat16 cannot run: too old"


@pytest.mark.slow
def test_against_torch_on_the_demonstration_bundle(fmtool, prepared_head, tmp_path):
    report = tmp_path / "report.json"
    done = fmtool(
        *("bench", prepared_head, "--engine", "openvino", "--precision", "float32"),
        *("--against", "torch:eager", "--repeats", 2, "--batch", 1, "--out", report),
    )
    assert done.returncode == 0, done.stderr
    content = json.loads(report.read_text(encoding="utf-8"))
    ours, torch = content["systems"]
    assert torch["peer"]
    assert torch["facts"]["weights_of_bundle"]
    assert torch["metrics"]["embedding_error"] < 1e-4
    assert ours["metrics"]["pipeline_network"] < ours["metrics"]["pipeline_total"]
    assert ours["metrics"]["pipeline_strip"] is None  # a prepared head is not stripped again
    assert content["baseline"] == "torch eager"
