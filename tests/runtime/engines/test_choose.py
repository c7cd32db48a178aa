"""What `auto` takes, what an explicit wish gets, and every refusal's sentence."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fmtool.errors import CapabilityError, UsageError
from runtime.engines import cuda, onnxruntime, openvino
from runtime.engines.choose import Choice, backends, choose, open_engine


class Machine:
    """A pretended machine; whatever is set here is what `choose` finds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.libraries = {"openvino", "onnxruntime"}
        self.gpus = 0
        self.cuda_build = False
        self.bfloat16 = True
        monkeypatch.setattr("runtime.engines.choose._LOAD", {n: self.loader(n) for n in LOADERS})
        for module, name in ((openvino, "openvino"), (onnxruntime, "onnxruntime")):
            monkeypatch.setattr(module, "load", self.loader(name))
        monkeypatch.setattr(cuda, "missing", self.missing)

    def loader(self, name: str) -> Any:
        def load() -> Any:
            if name not in self.libraries:
                raise CapabilityError(f"{name} is missing; pip install 'fmtool[cpu]'")
            providers = ["CPUExecutionProvider"]
            if self.cuda_build:
                providers.insert(0, "CUDAExecutionProvider")
            abilities = ["FP32", "BF16"] if self.bfloat16 else ["FP32"]
            core = SimpleNamespace(get_property=lambda device, key: abilities)
            return SimpleNamespace(get_available_providers=lambda: providers, Core=lambda: core)

        return load

    def missing(self, number: int = 0) -> str | None:
        return None if number < self.gpus else "no NVIDIA driver is installed"


LOADERS = ("openvino", "onnxruntime")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_a_cpu_gets_openvino_in_bfloat16(machine: Machine) -> None:
    choice = choose()
    assert (choice.engine, choice.device, choice.precision) == ("openvino", "cpu", "bfloat16")
    assert "no NVIDIA driver" in choice.reason


def test_a_cpu_without_bfloat16_computes_in_float32(machine: Machine) -> None:
    machine.bfloat16 = False
    assert choose().precision == "float32"


def test_without_openvino_onnxruntime_runs(machine: Machine) -> None:
    machine.libraries = {"onnxruntime"}
    choice = choose()
    assert (choice.engine, choice.precision) == ("onnxruntime", "float32")
    assert "OpenVINO" in choice.reason


def test_a_gpu_that_works_is_taken(machine: Machine) -> None:
    machine.gpus, machine.cuda_build = 1, True
    choice = choose()
    assert (choice.engine, choice.device, choice.precision) == ("onnxruntime", "cuda:0", "float32")


def test_a_gpu_without_a_cuda_build_is_not_taken_and_said(machine: Machine) -> None:
    machine.gpus = 1
    choice = choose()
    assert choice.device == "cpu"
    assert "fmtool[gpu]" in choice.reason


def test_openvino_asked_for_on_a_gpu_machine_runs_on_the_cpu(machine: Machine) -> None:
    machine.gpus, machine.cuda_build = 1, True
    assert choose(engine="openvino").device == "cpu"


def test_what_is_asked_for_is_taken(machine: Machine) -> None:
    machine.gpus, machine.cuda_build = 2, True
    choice = choose("onnxruntime", "cuda:1", "float16")
    assert choice == Choice("onnxruntime", "cuda:1", "float16", "as asked for")


def test_cuda_that_is_not_there_is_an_error_naming_everything_missing(machine: Machine) -> None:
    with pytest.raises(CapabilityError, match=r"cuda:0 .*NVIDIA driver.*fmtool\[gpu\]") as caught:
        choose(device="cuda")
    assert caught.value.exit_code == 3


def test_a_gpu_number_too_high_is_an_error(machine: Machine) -> None:
    machine.gpus, machine.cuda_build = 1, True
    with pytest.raises(CapabilityError, match="cuda:1"):
        choose(device="cuda:1")


def test_openvino_with_cuda_is_an_error(machine: Machine) -> None:
    machine.gpus, machine.cuda_build = 1, True
    with pytest.raises(CapabilityError, match="--engine onnxruntime"):
        choose("openvino", "cuda")


def test_an_engine_asked_for_and_missing_is_an_error(machine: Machine) -> None:
    machine.libraries = {"onnxruntime"}
    with pytest.raises(CapabilityError, match="openvino is missing"):
        choose("openvino")


def test_no_engine_at_all_names_the_extras(machine: Machine) -> None:
    machine.libraries = set()
    with pytest.raises(CapabilityError, match=r"fmtool\[cpu\].*fmtool\[gpu\]"):
        choose()


@pytest.mark.parametrize(
    ("words", "valid"),
    [
        (("tensorrtt",), "auto, openvino, onnxruntime"),
        (("auto", "gpu"), "auto, cpu, cuda and cuda:N"),
        (("auto", "cuda:x"), "auto, cpu, cuda and cuda:N"),
        (("auto", "cpu", "int8"), "auto, float32, bfloat16, float16"),
    ],
)
def test_an_unknown_word_lists_the_valid_ones(
    machine: Machine, words: tuple[str, ...], valid: str
) -> None:
    with pytest.raises(UsageError, match=valid):
        choose(*words)


def test_backends_give_a_version_or_a_reason(machine: Machine) -> None:
    machine.libraries = {"onnxruntime"}
    found = {backend.name: backend for backend in backends()}
    assert list(found) == ["openvino", "onnxruntime", "onnxruntime cuda", "tensorrt"]
    assert not found["openvino"].available
    assert "fmtool[cpu]" in found["openvino"].reason
    assert found["onnxruntime"].available
    assert not found["onnxruntime cuda"].available
    assert not found["tensorrt"].available
    assert all(backend.reason for backend in found.values())


def test_backends_of_this_machine_hold_the_installed_versions() -> None:
    ov = pytest.importorskip("openvino")
    found = {backend.name: backend for backend in backends()}
    assert found["openvino"].version is not None
    assert ov.get_version().startswith(found["openvino"].version)


def test_open_engine_opens_what_was_chosen(model: Path) -> None:
    pytest.importorskip("onnxruntime")
    with open_engine(model, choose("onnxruntime", "cpu")) as engine:
        assert engine.library == "onnxruntime"
