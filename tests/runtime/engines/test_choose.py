"""What `auto` takes, what an explicit wish gets, and every refusal's sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fmtool import bundle
from fmtool.errors import BundleError, CapabilityError, UsageError
from runtime.engines import cuda, onnxruntime, table
from runtime.engines.base import module
from runtime.engines.choose import Choice, backends, choose, open_bundle, open_engine
from runtime.engines.onnxruntime import providers as ort_providers
from runtime.engines.openvino import core as openvino_core
from runtime.engines.trt import bindings, driver


class Machine:
    """A pretended machine; whatever is set here is what `choose` finds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.libraries = {"openvino", "onnxruntime"}
        self.gpus = 0
        self.architecture = "sm89"
        self.providers: list[str] = []
        self.bfloat16 = True
        for library, name in ((openvino_core, "openvino"), (onnxruntime, "onnxruntime")):
            monkeypatch.setattr(library, "load", self.loader(name))
        for row in table.ROWS:
            if row.module:
                monkeypatch.setattr(module(row.module), "load", self.loader(row.name))
        monkeypatch.setattr(openvino_core, "core", lambda: openvino_core.load().Core())
        monkeypatch.setattr(cuda, "missing", self.missing)
        monkeypatch.setattr(
            cuda, "architecture", lambda number=0: self.architecture if self.gpus else None
        )
        monkeypatch.setattr(bindings, "load", lambda name: self.loader(name)())
        monkeypatch.setattr(driver, "load", lambda: None)
        monkeypatch.setattr(ort_providers, "_nvinfer_missing", lambda: None)
        monkeypatch.setattr(
            ort_providers,
            "_plugin_missing",
            lambda ort: None if "plugin" in self.libraries else "no plugin (`fmtool[rtx]`)",
        )

    def loader(self, name: str) -> Any:
        def load() -> Any:
            if name not in self.libraries:
                raise CapabilityError(f"{name} is missing; pip install 'fmtool[cpu]'")
            abilities = ["FP32", "BF16"] if self.bfloat16 else ["FP32"]
            core = SimpleNamespace(get_property=lambda device, key: abilities)
            return SimpleNamespace(
                get_available_providers=lambda: [*self.providers, "CPUExecutionProvider"],
                Core=lambda: core,
                __version__="1.2.3",
            )

        return load

    def missing(self, number: int = 0) -> str | None:
        return None if number < self.gpus else "no NVIDIA driver is installed (libcuda)"

    def cuda(self, gpus: int = 1) -> None:
        """A GPU, and an ONNX Runtime that was built for it."""
        self.gpus, self.providers = gpus, ["CUDAExecutionProvider"]


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


def test_an_engine_before_openvino_is_the_fastest_and_openvino_is_not_missed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = replace(table.ROWS[-2], name="quicker", title="Quicker")
    monkeypatch.setattr(table, "ROWS", (*table.ROWS[:-2], first, *table.ROWS[-2:]))
    choice = choose()
    assert (choice.engine, choice.precision) == ("quicker", "bfloat16")
    assert "Quicker is the fastest engine on a CPU" in choice.reason


def test_a_gpu_that_works_is_taken(machine: Machine) -> None:
    machine.cuda()
    choice = choose()
    assert (choice.engine, choice.device, choice.precision) == ("onnxruntime", "cuda:0", "float32")


def test_a_gpu_without_a_cuda_build_is_not_taken_and_said(machine: Machine) -> None:
    machine.gpus = 1
    choice = choose()
    assert choice.device == "cpu"
    assert "fmtool[gpu]" in choice.reason


def test_openvino_asked_for_on_a_gpu_machine_runs_on_the_cpu(machine: Machine) -> None:
    machine.cuda()
    assert choose(engine="openvino").device == "cpu"


def test_what_is_asked_for_is_taken(machine: Machine) -> None:
    machine.cuda(2)
    choice = choose("onnxruntime", "cuda:1", "float16")
    assert choice == Choice("onnxruntime", "cuda:1", "float16", "as asked for")


def test_cuda_that_is_not_there_is_an_error_naming_everything_missing(machine: Machine) -> None:
    with pytest.raises(CapabilityError, match=r"cuda:0 .*NVIDIA driver.*fmtool\[gpu\]") as caught:
        choose(device="cuda")
    assert caught.value.exit_code == 3


def test_a_gpu_number_too_high_is_an_error(machine: Machine) -> None:
    machine.cuda()
    with pytest.raises(CapabilityError, match="cuda:1"):
        choose(device="cuda:1")


def test_openvino_with_cuda_is_an_error(machine: Machine) -> None:
    machine.cuda()
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
        (("tensorrtt",), ", ".join(("auto", *table.NAMES))),
        (("auto", "gpu"), "auto, cpu, cuda and cuda:N"),
        (("auto", "cuda:x"), "auto, cpu, cuda and cuda:N"),
        (("auto", "cpu", "int4"), "auto, float32, bfloat16, float16, int8"),
    ],
)
def test_an_unknown_word_lists_the_valid_ones(
    machine: Machine, words: tuple[str, ...], valid: str
) -> None:
    with pytest.raises(UsageError, match=valid):
        choose(*words)


@pytest.mark.parametrize("row", [r for r in table.ROWS if r.device == "cuda"], ids=lambda r: r.name)
def test_every_gpu_engine_asked_for_without_a_gpu_is_an_error(
    machine: Machine, row: table.EngineRow
) -> None:
    machine.libraries |= {"rtx", "tensorrt", "plugin"}
    machine.providers = ["CUDAExecutionProvider", "TensorrtExecutionProvider"]
    with pytest.raises(CapabilityError, match=rf"{row.title} on cuda:1 .*NVIDIA driver.*get "):
        choose(row.name, "cuda:1")


@pytest.mark.parametrize("name", ["tensorrt", "tensorrt-rtx", "onnxruntime-rtx"])
def test_a_gpu_engine_that_is_asked_for_on_the_cpu_is_an_error(machine: Machine, name: str) -> None:
    with pytest.raises(CapabilityError, match="NVIDIA GPU; for the CPU say --engine openvino"):
        choose(name, "cpu")


def test_on_a_gpu_the_first_of_the_table_that_is_there_is_taken(machine: Machine) -> None:
    machine.cuda()
    order = [("plugin", "onnxruntime-rtx"), ("rtx", "tensorrt-rtx"), ("tensorrt", "tensorrt")]
    for library, name in order:
        machine.libraries.add(library)
        choice = choose()
        assert (choice.engine, choice.device) == (name, "cuda:0")
        assert "a GPU is ready" in choice.reason


@pytest.mark.parametrize("name", ["tensorrt-rtx", "onnxruntime-rtx"])
def test_hopper_is_told_what_runs_on_it(machine: Machine, name: str) -> None:
    machine.cuda()
    machine.libraries |= {"rtx", "plugin"}
    machine.architecture = "sm90"
    with pytest.raises(CapabilityError, match=r"nothing for this GPU \(sm90\).*onnxruntime"):
        choose(name)
    assert choose().engine == "onnxruntime"


def test_float16_is_taken_on_a_gpu_from_a_bundle_that_has_it(machine: Machine) -> None:
    machine.cuda()
    assert choose(stored=("float32", "float16")).precision == "float16"
    machine.gpus = 0
    assert choose("onnxruntime", stored=("float32", "float16")).precision == "float32"


@pytest.mark.parametrize(
    ("engine", "precision", "can"),
    [
        ("onnxruntime", "float16", "float32, int8"),
        ("onnxruntime", "bfloat16", "float32, int8"),
        ("openvino", "bfloat16", "float32, int8"),
    ],
)
def test_a_precision_that_is_not_to_be_had_is_an_error(
    machine: Machine, engine: str, precision: str, can: str
) -> None:
    machine.bfloat16 = False
    with pytest.raises(CapabilityError, match=f"does not compute in {precision} .*{can}"):
        choose(engine, "cpu", precision)


def test_a_choice_remembers_what_was_left_to_it(machine: Machine) -> None:
    assert choose().auto == ("engine", "precision")
    assert choose("openvino").auto == ("precision",)
    assert choose("openvino", precision="int8").auto == ()


@pytest.mark.parametrize(("engine", "library"), [("tensorrt", "tensorrt"), ("tensorrt-rtx", "rtx")])
def test_the_native_engines_come_from_the_engine_cache(
    monkeypatch: pytest.MonkeyPatch, engine: str, library: str
) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(
        "runtime.engines.trt.open.open_cached",
        lambda *args, say: asked.append((*args, say)),
    )
    demo = bundle.open()
    open_bundle(demo, Choice(engine, "cuda:1", "float16", ""), print)
    assert asked == [(demo, library, "cuda:1", "float16", print)]
    with pytest.raises(CapabilityError, match="engine cache"):
        open_engine(demo.model(), Choice(engine, "cuda:0", "float32", ""))


def test_int8_names_what_makes_its_graph() -> None:
    pytest.importorskip("openvino")
    with pytest.raises(BundleError, match="fmtool export --int8"):
        open_bundle(bundle.open(), Choice("openvino", "cpu", "int8", ""))


def test_backends_give_a_version_or_a_reason(machine: Machine) -> None:
    machine.libraries = {"onnxruntime"}
    found = {backend.name: backend for backend in backends()}
    assert len(found) == len(table.ROWS)
    devices = [backend.device for backend in found.values()]
    assert devices == sorted(devices)  # the CPU's first
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
