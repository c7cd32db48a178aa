"""ONNX Runtime's providers, on a stand-in that answers as the real one may: honestly or not.

The real one answers here too, where it can: that it has no GPU.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fmtool import bundle
from fmtool.errors import CapabilityError, EngineError
from runtime.engines import cuda, onnxruntime, opening, table
from runtime.engines.onnxruntime import OnnxRuntimeEngine
from runtime.engines.onnxruntime import providers as ort_providers
from runtime.engines.onnxruntime.providers import PROVIDERS

NAMES = {engine: provider.name for engine, provider in PROVIDERS.items()}


class FakeRuntime:
    """ONNX Runtime with every provider; `gives` overrides what its sessions say they run on."""

    __version__ = "9.9"

    def __init__(self) -> None:
        self.gives: list[str] | None = None
        self.fails: Exception | None = None
        self.entries: dict[str, str] = {}
        self.added: list[tuple[Any, dict[str, str]]] = []
        self.registered: list[tuple[str, str]] = []
        self.sessions: list[Any] = []

    def get_available_providers(self) -> list[str]:
        return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]

    def SessionOptions(self) -> Any:
        return SimpleNamespace(
            add_session_config_entry=lambda k, v: self.entries.update({k: v}),
            add_provider_for_devices=lambda d, o: self.added.append((d, o)),
        )

    def register_execution_provider_library(self, name: str, path: str) -> None:
        self.registered.append((name, path))

    def get_ep_devices(self) -> list[Any]:
        plugged = [SimpleNamespace(ep_name=name, number=n) for name, _ in self.registered
                   for n in range(2)]  # fmt: skip
        return [SimpleNamespace(ep_name="CPUExecutionProvider"), *plugged]

    def InferenceSession(
        self, model: Path, options: Any, providers: Any = (), enable_fallback: int = 1
    ) -> Any:
        if self.fails is not None:
            raise self.fails
        asked = [p if isinstance(p, str) else p[0] for p in providers]
        asked += [devices[0].ep_name for devices, _ in self.added]
        made = SimpleNamespace(
            providers=providers,
            fallback=bool(enable_fallback),
            get_providers=lambda: self.gives or [*asked, "CPUExecutionProvider"],
            get_outputs=lambda: [SimpleNamespace(name="age")],
            run=lambda names, inputs: [np.ones((1, 1), np.float32)],
        )
        made.disable_fallback = lambda: setattr(made, "run_fallback", False)
        self.sessions.append(made)
        return made


@pytest.fixture
def ort(monkeypatch: pytest.MonkeyPatch) -> FakeRuntime:
    fake = FakeRuntime()
    monkeypatch.setattr(onnxruntime, "load", lambda: fake)
    monkeypatch.setattr(cuda, "missing", lambda number=0: None)
    monkeypatch.setattr(cuda, "architecture", lambda number=0: "sm89")
    monkeypatch.setattr(cuda, "driver", lambda: "13.0")
    monkeypatch.setattr(ort_providers, "_nvinfer_missing", lambda: None)
    plugin = SimpleNamespace(get_library_path=lambda: "plugin.so")
    monkeypatch.setattr(ort_providers.importlib, "import_module", lambda name: plugin)
    return fake


def start(engine: str, **more: Any) -> OnnxRuntimeEngine:
    return OnnxRuntimeEngine(Path("model.onnx"), "cuda:1", library=engine, **more)


@pytest.mark.parametrize("engine", NAMES)
def test_a_session_is_on_the_provider_asked_for_and_may_not_leave_it(
    ort: FakeRuntime, engine: str
) -> None:
    opened = start(engine)
    assert (opened.library, opened.device) == (engine, "cuda:1")
    assert ort.entries == {"session.disable_cpu_ep_fallback": "1"}
    (session,) = ort.sessions
    assert session.fallback is False
    assert session.run_fallback is False
    assert session.get_providers()[0] == NAMES[engine]
    assert "CPUExecutionProvider" not in str(session.providers)


@pytest.mark.parametrize("gives", [["CPUExecutionProvider"], ["CUDAExecutionProvider"], []])
@pytest.mark.parametrize("engine", NAMES)
def test_a_session_that_runs_elsewhere_is_refused(
    ort: FakeRuntime, engine: str, gives: list[str]
) -> None:
    ort.gives = gives or [""]
    if gives == [NAMES[engine]]:
        assert start(engine)
        return
    with pytest.raises(CapabilityError, match=r"cuda:1: it offered .* instead") as caught:
        start(engine)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("engine", NAMES)
def test_a_session_that_fails_to_start_gives_its_reason(ort: FakeRuntime, engine: str) -> None:
    ort.fails = RuntimeError("libcudnn.so.9 is missing\nand a long trace")
    with pytest.raises(CapabilityError, match=r"cuda:1: libcudnn.so.9 is missing$"):
        start(engine)


def test_a_run_that_fails_is_an_error_and_runs_nowhere_else(ort: FakeRuntime) -> None:
    opened = start("onnxruntime")

    def fail(names: object, inputs: object) -> None:
        raise RuntimeError("out of memory\n...")

    ort.sessions[0].run = fail
    with pytest.raises(EngineError, match=r"cuda:1, float32 failed: out of memory$"):
        opened.run({"volume": np.ones((1, 1), np.float32)})


def test_the_plugin_is_registered_once_and_the_gpu_is_the_one_asked_for(ort: FakeRuntime) -> None:
    for _ in range(2):
        start("onnxruntime-rtx")
    assert ort.registered == [(NAMES["onnxruntime-rtx"], "plugin.so")]
    assert [devices[0].number for devices, _ in ort.added] == [1, 1]
    with pytest.raises(CapabilityError, match="offers 2 GPU"):
        OnnxRuntimeEngine(Path("m.onnx"), "cuda:2", library="onnxruntime-rtx")


def test_float32_means_float32_and_float16_is_never_an_option(
    ort: FakeRuntime, tmp_path: Path
) -> None:
    for engine in NAMES:
        for precision in ("float32", "float16"):
            start(engine, precision=precision, cache=tmp_path)
    said = str([session.providers for session in ort.sessions] + ort.added)
    assert "'use_tf32': '0'" in said
    assert "fp16" not in said
    assert "int8" not in said
    start("onnxruntime-tensorrt", precision="int8")
    assert "'trt_int8_enable': '1'" in str(ort.sessions[-1].providers)


@pytest.mark.parametrize("engine", ["onnxruntime-tensorrt", "onnxruntime-rtx"])
def test_what_a_provider_compiles_is_kept_per_bundle_precision_and_version(
    ort: FakeRuntime, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(opening.here, "version", lambda row: "10.9")
    row = table.find(engine, "cuda")
    demo = bundle.open()
    for precision in ("float32", "float16"):
        assert row is not None
        opening.open_bundle(row, demo, "cuda:0", precision, print)
    folders = sorted(p for p in (tmp_path / "fmtool/engines" / demo.digest).iterdir())
    assert [p.name.split(".ort")[0] for p in folders] == [
        f"{engine}.float16.sm89.trt10.9",
        f"{engine}.float32.sm89.trt10.9",
    ]
    said = str([session.providers for session in ort.sessions] + ort.added)
    assert all(str(folder) in said for folder in folders)


@pytest.mark.parametrize("engine", NAMES)
def test_the_installed_one_has_no_gpu_here_and_says_so(engine: str) -> None:
    pytest.importorskip("onnxruntime")
    if cuda.missing(0) is None:
        pytest.skip("this machine has an NVIDIA GPU")
    with pytest.raises(CapabilityError, match=r"cuda:0: .*NVIDIA"):
        OnnxRuntimeEngine(bundle.open().model(), "cuda", library=engine)


def test_the_installed_one_does_not_fall_back_once_the_checks_are_past(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The real library, told that the machine has a GPU: it must not answer from the CPU."""
    pytest.importorskip("onnxruntime")
    if cuda.missing(0) is None:
        pytest.skip("this machine has an NVIDIA GPU")
    monkeypatch.setattr(ort_providers, "missing", lambda *_: None)
    for engine in ("onnxruntime", "onnxruntime-tensorrt"):
        with pytest.raises(CapabilityError, match="cannot run with"):
            OnnxRuntimeEngine(bundle.open().model(), "cuda", library=engine)
    assert capfd.readouterr().out == ""


@pytest.mark.rtx
def test_the_real_plugin_gives_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime_ep_nv_tensorrt_rtx")
    if cuda.missing(0) is None:
        pytest.skip("this machine has an NVIDIA GPU")
    monkeypatch.setattr(ort_providers, "missing", lambda *_: None)
    with pytest.raises(CapabilityError, match=r"TensorRT-RTX on cuda:0: .*libcuda"):
        OnnxRuntimeEngine(bundle.open().model(), "cuda", library="onnxruntime-rtx")


def test_a_cpu_only_build_is_told_apart_from_a_missing_driver(ort: FakeRuntime) -> None:
    ort.get_available_providers = lambda: ["CPUExecutionProvider"]  # type: ignore[method-assign]
    for engine in ("onnxruntime", "onnxruntime-tensorrt"):
        with pytest.raises(CapabilityError, match=r"built without .*fmtool\[gpu\]"):
            start(engine)
