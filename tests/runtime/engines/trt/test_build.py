"""Building engines, against bindings that only write down what they are asked.

The real TensorRT-RTX is in test_rtx.py; what its own types accept, a stand-in cannot tell.
"""

from __future__ import annotations

import enum
import logging
import sys
from types import ModuleType, SimpleNamespace

import pytest

from fmtool.errors import CapabilityError, EngineError, UsageError
from runtime.engines import cuda
from runtime.engines.trt import bindings, build
from runtime.engines.trt.configure import Options


class Severity(enum.Enum):
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)


class DataType(enum.Enum):
    FLOAT, HALF = range(2)


class Tensor:
    def __init__(self, name, shape, dtype=DataType.FLOAT):
        self.name, self.shape, self.dtype = name, shape, dtype


class Fake:
    """A bindings module and its diary."""

    def __init__(self, name="tensorrt_rtx_bindings", version="1.7.1", strongly_typed=1, flags=()):
        self.calls = {}
        self.parser_errors = []
        self.built = b"engine"
        self.complaint = None
        self.loads = True
        self.timings_fit = True
        self.inputs = [Tensor("volume", (-1, 1, 8, 8, 8)), Tensor("mask", (-1, 1, 8, 8, 8))]
        self.module = self._module(name, version, strongly_typed, flags)

    def note(self, name, *values):
        self.calls.setdefault(name, []).append(values)

    def _module(self, name, version, strongly_typed, flags):
        fake = self

        class ILogger:
            Severity = Severity

        class Builder:
            def __init__(self, logger):
                self.logger = logger

            def create_network(self, flags):
                fake.note("flags", flags)
                conv = SimpleNamespace(
                    name="conv", type="LayerType.CONVOLUTION", num_outputs=1,
                    get_output=lambda i: Tensor("features", (-1, 4), DataType.HALF),
                )  # fmt: skip
                return SimpleNamespace(
                    num_inputs=len(fake.inputs), get_input=lambda i: fake.inputs[i],
                    num_outputs=1, get_output=lambda i: Tensor("embedding", (-1, 4)),
                    num_layers=1, get_layer=lambda i: conv,
                )  # fmt: skip

            def create_builder_config(self):
                fake.config = SimpleNamespace(
                    clear_flag=lambda flag: fake.note("cleared", flag),
                    set_flag=lambda flag: fake.note("set", flag),
                    set_memory_pool_limit=lambda pool, size: fake.note("pool", pool, size),
                    set_compute_capability=lambda c, i: fake.note("capability", c, i) is None,
                    create_timing_cache=lambda stored: fake.note("timings", stored) or stored,
                    set_timing_cache=lambda cache, ignore: fake.timings_fit or cache == b"",
                    get_timing_cache=lambda: SimpleNamespace(serialize=lambda: b"measured"),
                    add_optimization_profile=lambda profile: 0,
                )
                return fake.config

            def create_optimization_profile(self):
                return SimpleNamespace(set_shape=lambda *shape: fake.note("shape", *shape))

            def build_serialized_network(self, network, config):
                self.logger.log(Severity.VERBOSE, LAYERS)
                if fake.complaint:
                    self.logger.log(Severity.ERROR, fake.complaint)
                return fake.built

        class OnnxParser:
            def __init__(self, network, logger):
                self.num_errors = len(fake.parser_errors)

            def parse_from_file(self, path):
                fake.note("parsed", path)
                return not fake.parser_errors

            def get_error(self, i):
                name, operator, said = fake.parser_errors[i]
                return SimpleNamespace(
                    node_name=lambda: name, node_operator=lambda: operator, desc=lambda: said
                )

        class Runtime:
            def __init__(self, logger):
                self.logger = logger
                fake.runtime = self

            def deserialize_cuda_engine(self, data):
                if not fake.loads:
                    self.logger.log(Severity.ERROR, "cudaError 35")
                    return None
                table = '{"Layers": [{"Name": "conv"}], "Bindings": ["volume"]}'
                inspector = SimpleNamespace(get_engine_information=lambda form: table)
                return SimpleNamespace(create_engine_inspector=lambda: inspector)

        module = ModuleType(name)
        module.__dict__.update(
            __version__=version,
            ILogger=ILogger,
            Builder=Builder,
            OnnxParser=OnnxParser,
            Runtime=Runtime,
            NetworkDefinitionCreationFlag=enum.IntEnum(
                "NetworkDefinitionCreationFlag", {"STRONGLY_TYPED": strongly_typed}
            ),
            BuilderFlag=enum.Enum("BuilderFlag", ["TF32", "REFIT", "VERSION_COMPATIBLE", *flags]),
            ComputeCapability=enum.Enum("ComputeCapability", ["SM80", "SM89"]),
            MemoryPoolType=enum.Enum("MemoryPoolType", ["WORKSPACE"]),
            ProfilingVerbosity=enum.Enum("ProfilingVerbosity", ["DETAILED"]),
            HardwareCompatibilityLevel=enum.Enum("HardwareCompatibilityLevel", ["AMPERE_PLUS"]),
            LayerInformationFormat=enum.Enum("LayerInformationFormat", ["JSON"]),
        )
        return module


LAYERS = """Layers:
Name: conv_0, LayerType: correlation, Inputs: [ { Name: volume, Datatype: Half }], Outputs: []

I/O Tensors:
 Name: volume, IOMode: Input, DataType: Float, Dimensions: [-1,1,8,8,8], Location: Device, \
ProfileInfo: [ { MinShape: [1,1,8,8,8] }]"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"onnx")
    return path


@pytest.fixture
def rtx(monkeypatch):
    """A fake TensorRT-RTX on a machine without a GPU."""
    monkeypatch.setattr(cuda, "architecture", lambda number=0: None)
    return install(monkeypatch, Fake(flags=["REQUIRE_USER_ALLOCATION"]))


@pytest.fixture
def classic(monkeypatch):
    """A fake TensorRT beside an sm89."""
    monkeypatch.setattr(cuda, "architecture", lambda number=0: "sm89")
    return install(monkeypatch, Fake("tensorrt", "10.16.1.11"))


def install(monkeypatch, fake):
    monkeypatch.setitem(sys.modules, "onnxruntime_ep_nv_tensorrt_rtx", ModuleType("loader"))
    monkeypatch.setitem(sys.modules, fake.module.__name__, fake.module)
    monkeypatch.setattr("runtime.engines.trt.logger._listeners", {})
    return fake


def test_what_the_builder_is_asked(rtx, model):
    plan = build.build(model, "rtx", "sm89", batches=(1, 4, 8), options=Options(workspace=1 << 30))
    assert (plan.data, plan.library, plan.version, plan.target) == (
        b"engine", "rtx", "1.7.1", "sm89",
    )  # fmt: skip
    trt = rtx.module
    assert rtx.calls == {
        "flags": [(2,)],  # bit 1
        "parsed": [(str(model),)],
        "pool": [(trt.MemoryPoolType.WORKSPACE, 1 << 30)],
        "cleared": [(trt.BuilderFlag.TF32,)],
        "set": [(trt.BuilderFlag.REQUIRE_USER_ALLOCATION,)],  # and so not REFIT
        "capability": [(trt.ComputeCapability.SM89, 0)],
        "shape": [
            (name, (1, 1, 8, 8, 8), (4, 1, 8, 8, 8), (8, 1, 8, 8, 8)) for name in ("volume", "mask")
        ],
    }
    assert rtx.config.num_compute_capabilities == 1
    assert rtx.config.profiling_verbosity is trt.ProfilingVerbosity.DETAILED


def test_the_flag_is_a_position_and_may_be_the_first(monkeypatch, model):
    monkeypatch.setattr(cuda, "architecture", lambda number=0: None)
    fake = install(monkeypatch, Fake(strongly_typed=0))
    build.build(model, "rtx", "sm89")
    assert fake.calls["flags"] == [(1,)]


def test_a_library_in_which_every_network_is_strongly_typed(rtx, model):
    rtx.module.NetworkDefinitionCreationFlag = enum.IntEnum("Flags", {"OTHER": 0})
    build.build(model, "rtx", "sm89")
    assert rtx.calls["flags"] == [(0,)]


def test_layers_of_the_network_and_as_the_builder_logs_them(rtx, model):
    plan = build.build(model, "rtx", "sm89")
    (layer,) = plan.network["layers"]
    assert (layer["type"], layer["outputs"][0]["type"]) == ("convolution", "half")
    assert plan.network["inputs"][1] == {
        "name": "mask", "type": "float", "shape": [-1, 1, 8, 8, 8],
    }  # fmt: skip
    assert plan.engine["source"] == "builder log"
    assert [(x["name"], x["type"]) for x in plan.engine["layers"]] == [("conv_0", "correlation")]
    (tensor,) = plan.engine["tensors"]
    assert tensor["shape"] == "[-1,1,8,8,8]"
    assert "MinShape" in tensor["profile"]


def test_an_engine_for_the_gpu_at_hand_is_loaded_and_inspected(classic, model):
    plan = build.build(model, "tensorrt")
    assert plan.target == "sm89"
    assert plan.engine == {
        "source": "engine inspector", "layers": [{"Name": "conv"}], "tensors": ["volume"],
    }  # fmt: skip
    assert "capability" not in classic.calls
    assert "timings" not in classic.calls


def test_an_engine_that_does_not_load_is_an_error(classic, model):
    classic.loads = False
    with pytest.raises(EngineError, match="cannot load the engine it has just built: cudaError 35"):
        build.build(model, "tensorrt")


def test_timings_in_and_out(classic, model, tmp_path):
    file = tmp_path / "timings"
    build.build(model, "tensorrt", timing_cache=file)
    assert classic.calls["timings"] == [(b"",)]
    assert file.read_bytes() == b"measured"
    build.build(model, "tensorrt", timing_cache=file)
    assert classic.calls["timings"][1:] == [(b"measured",)]


def test_timings_of_another_version_are_not_taken(classic, model, tmp_path):
    file = tmp_path / "timings"
    file.write_bytes(b"older")
    classic.timings_fit = False
    build.build(model, "tensorrt", timing_cache=file)
    assert classic.calls["timings"] == [(b"older",), (b"",)]


def test_rtx_keeps_no_timings(rtx, model, tmp_path):
    build.build(model, "rtx", "sm89", timing_cache=tmp_path / "timings")
    assert not (tmp_path / "timings").exists()


def test_parser_errors_name_the_node(rtx, model):
    rtx.parser_errors = [("node_7", "NonZero", "is not supported"), ("", "", "and so on")]
    with pytest.raises(EngineError) as caught:
        build.build(model, "rtx", "sm89")
    assert str(caught.value) == (
        f"TensorRT-RTX cannot read {model}: node 'node_7' (NonZero): is not supported; and so on"
    )


def test_the_builders_error_is_the_exceptions_and_said_once(rtx, model, caplog):
    rtx.built, rtx.complaint = None, "Cannot compile operation 'node_Conv_286'"
    with caplog.at_level(logging.WARNING), pytest.raises(EngineError, match="'node_Conv_286'"):
        build.build(model, "rtx", "sm89")
    assert not caplog.records  # once is enough
    # What one build heard is not held against the next.
    rtx.complaint = None
    with pytest.raises(EngineError, match="it gives no reason"):
        build.build(model, "rtx", "sm89")


def test_an_error_that_stops_nothing_is_logged(rtx, model, caplog):
    rtx.complaint = "a plugin is missing, and not needed"
    with caplog.at_level(logging.WARNING):
        build.build(model, "rtx", "sm89")
    assert caplog.record_tuples == [("fmtool.tensorrt", logging.ERROR, rtx.complaint)]


def test_an_engine_for_newer_gpus_and_versions(classic, model):
    plan = build.build(
        model, "tensorrt", options=Options(hardware_compatible=True, version_compatible=True)
    )
    trt = classic.module
    assert plan.data == b"engine"
    assert classic.config.hardware_compatibility_level is (
        trt.HardwareCompatibilityLevel.AMPERE_PLUS
    )
    assert classic.calls["set"] == [(trt.BuilderFlag.VERSION_COMPATIBLE,)]
    assert classic.runtime.engine_host_code_allowed  # without it, the engine does not load
    build.build(model, "tensorrt")
    assert not hasattr(classic.config, "hardware_compatibility_level")
    assert len(classic.calls["set"]) == 1
    assert not hasattr(classic.runtime, "engine_host_code_allowed")


def test_options_that_rtx_has_not(rtx, model):
    with pytest.raises(UsageError, match="no hardware-compatible engines; name each"):
        build.build(model, "rtx", "sm89", options=Options(hardware_compatible=True))
    with pytest.raises(CapabilityError, match="version-compatible engines only where there is a"):
        build.build(model, "rtx", "sm89", options=Options(version_compatible=True))
    assert not rtx.calls


@pytest.mark.parametrize("batches", [(0, 1, 1), (4, 2, 8), (1, 8, 4)])
def test_batches_out_of_order(batches, model):
    with pytest.raises(UsageError, match="smallest, usual, largest"):
        build.build(model, "rtx", "sm89", batches)


@pytest.mark.parametrize("shape", [(1, 1, 8, 8, 8), (-1, 1, -1, 8, 8)])
def test_shapes_that_no_profile_of_batches_fits(rtx, model, shape):
    rtx.inputs = [Tensor("volume", shape)]
    with pytest.raises(EngineError, match="only its batch may be free"):
        build.build(model, "rtx", "sm89", (1, 4, 8))


def test_a_fixed_batch_that_is_the_one_asked_for(rtx, model):
    rtx.inputs = [Tensor("volume", (1, 1, 8, 8, 8))]
    assert build.build(model, "rtx", "sm89").data == b"engine"


def test_a_missing_model(rtx, tmp_path):
    with pytest.raises(EngineError, match="does not exist"):
        build.build(tmp_path / "absent.onnx", "rtx", "sm89")


@pytest.mark.parametrize(
    ("target", "said"),
    [("sm90", "whose GPUs run TensorRT"), ("sm42", "it has for sm75, sm80, sm86, sm89, sm120")],
)
def test_targets_that_rtx_does_not_know(model, target, said):
    with pytest.raises(UsageError, match=said):
        build.build(model, "rtx", target)


def test_a_target_that_an_older_rtx_does_not_know(rtx, model):
    with pytest.raises(CapabilityError, match="does not build for sm120; install a newer one"):
        build.build(model, "rtx", "sm120")


def test_no_gpu_and_no_target(rtx, model, monkeypatch):
    monkeypatch.setattr(cuda, "missing", lambda number=0: "no NVIDIA driver is installed")
    with pytest.raises(CapabilityError, match="no NVIDIA driver is installed; name one with"):
        build.build(model, "rtx")


def test_rtx_beside_a_gpu_that_it_does_not_run_on(rtx, model, monkeypatch):
    monkeypatch.setattr(cuda, "architecture", lambda number=0: "sm90")
    with pytest.raises(CapabilityError, match="at hand is sm90: TensorRT-RTX has no engines for"):
        build.build(model, "rtx")


def test_tensorrt_builds_for_the_gpu_at_hand_only(classic, model):
    with pytest.raises(CapabilityError, match="not for sm80: that is sm89"):
        build.build(model, "tensorrt", "sm80")


@pytest.mark.parametrize("version", ["8.6.1", "10.9.0.34"])
def test_an_old_tensorrt(monkeypatch, version):
    install(monkeypatch, Fake("tensorrt", version))
    with pytest.raises(CapabilityError, match=f"{version} is too old"):
        bindings.load("tensorrt")


@pytest.mark.parametrize("library", ["rtx", "tensorrt"])
def test_a_missing_library_says_how_to_get_it(monkeypatch, library):
    for name in bindings.LIBRARIES[library].modules:
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(CapabilityError, match=rf"pip install 'fmtool\[{library}\]'"):
        bindings.load(library)


def test_a_library_that_does_not_load_is_the_reason_given(monkeypatch):
    def refuse(name):
        known = {"tensorrt": "No module named 'tensorrt'"}
        raise ImportError(known.get(name, "libnvinfer.so.10: cannot open shared object file"))

    monkeypatch.setattr(bindings.importlib, "import_module", refuse)
    with pytest.raises(CapabilityError, match="libnvinfer"):
        bindings.load("tensorrt")
