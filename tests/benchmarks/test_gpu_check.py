"""`make gpu-check`: what it says of a machine, and what it runs there."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from benchmarks import gpu_check
from runtime import doctor
from runtime.engines import cuda


def machine(capability="sm89", driver="13.0"):
    """The facts of a machine with one GPU on which one engine runs."""
    return {
        "gpus": [{"number": 0, "name": "NVIDIA X", "capability": capability}],
        "no_gpu": None,
        "driver_cuda": driver,
        "backends": [
            {"name": "openvino", "device": "cpu", "available": True, "version": "1",
             "reason": "", "get": ""},
            {"name": "onnxruntime cuda", "device": "cuda", "available": True, "version": "1.32",
             "reason": "", "get": ""},
            {"name": "tensorrt", "device": "cuda", "available": False, "version": None,
             "reason": "it is not installed", "get": "pip install 'fmtool[tensorrt]'"},
        ],
    }  # fmt: skip


def test_without_a_gpu_it_says_so_and_exits_3():
    if cuda.missing(0) is None:
        pytest.skip("this machine has an NVIDIA GPU")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu_check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert done.stdout.startswith("No GPU: no NVIDIA driver is installed")
    assert "pytest" not in done.stdout


def test_each_engine_is_ready_or_says_how_to_get_it():
    said = "\n".join(gpu_check.advice(machine()))
    assert "cuda:0: NVIDIA X (sm89)" in said
    assert "onnxruntime cuda 1.32: ready" in said
    assert "tensorrt: it is not installed. To get it: pip install 'fmtool[tensorrt]'" in said
    assert "openvino" not in said
    assert "Hopper" not in said
    assert "Update the driver" not in said


def test_hopper_and_an_old_driver():
    said = "\n".join(gpu_check.advice(machine("sm90", "12.4")))
    assert "TensorRT-RTX has nothing" in said
    assert "Update the driver to 580" in said


@pytest.mark.parametrize(("codes", "result"), [((0, 0), 0), ((1, 0), 1), ((0, 2), 1)])
def test_with_a_gpu_both_are_run_whatever_the_first_says(
    monkeypatch, tmp_path, capsys, codes, result
):
    ran = []

    def run(command, check):
        ran.append(command[1:4])
        return SimpleNamespace(returncode=codes[len(ran) - 1])

    monkeypatch.setattr(doctor, "examine", machine)
    monkeypatch.setattr(gpu_check.subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", ["gpu_check", "--json", str(tmp_path / "new" / "x.json")])
    assert gpu_check.main() == result
    assert ran == [["-m", "pytest", "-m"], ["-m", "fmtool", "bench"]]
    assert (tmp_path / "new").is_dir()
    assert ("All passed" in capsys.readouterr().out) is (result == 0)
