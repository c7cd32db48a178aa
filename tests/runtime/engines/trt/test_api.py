"""Every name of TensorRT that is called, looked up in its real bindings, without its libraries.

The bindings (`tensorrt-cu13-bindings` and the like) come from the package index, the libraries do
not; empty ones let the bindings load, far enough to be asked what they have.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NAMES = {
    "ILogger": "Severity log",
    "Builder": "create_network create_builder_config create_optimization_profile "
    "build_serialized_network",
    "INetworkDefinition": "num_inputs get_input num_outputs get_output num_layers get_layer",
    "ILayer": "name type num_outputs get_output",
    "ITensor": "name dtype shape",
    "IBuilderConfig": "set_memory_pool_limit clear_flag set_flag hardware_compatibility_level "
    "profiling_verbosity create_timing_cache set_timing_cache get_timing_cache "
    "add_optimization_profile",
    "ITimingCache": "serialize",
    "IOptimizationProfile": "set_shape",
    "OnnxParser": "parse_from_file num_errors get_error",
    "ParserError": "node_name node_operator desc",
    "Runtime": "deserialize_cuda_engine engine_host_code_allowed",
    "ICudaEngine": "create_engine_inspector create_execution_context num_io_tensors "
    "get_tensor_name get_tensor_mode get_tensor_dtype get_tensor_profile_shape",
    "IExecutionContext": "set_input_shape get_tensor_shape set_tensor_address execute_async_v3",
    "EngineInspector": "get_engine_information",
    "NetworkDefinitionCreationFlag": "STRONGLY_TYPED",
    "BuilderFlag": "TF32 VERSION_COMPATIBLE",
    "HardwareCompatibilityLevel": "AMPERE_PLUS",
    "DataType": "FLOAT HALF",
    "TensorIOMode": "INPUT",
    "MemoryPoolType": "WORKSPACE",
    "ProfilingVerbosity": "DETAILED",
    "LayerInformationFormat": "JSON",
}

SYMBOLS = (
    "createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL", "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL", "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry", "getNvOnnxParserVersion", "getPluginRegistry",
    "initLibNvInferPlugins",
)  # fmt: skip

ASK = """
import sys, tensorrt_bindings as trt
names = [tuple(word.split('.')) for word in sys.argv[1:]]
absent = [f'{c}.{m}' for c, m in names if not hasattr(getattr(trt, c, None), m)]
from runtime.engines.trt.logger import listen
with listen(trt) as (logger, record):
    logger.log(trt.ILogger.Severity.WARNING, 'heard')
    assert record.messages == [(30, 'heard')], record.messages
from runtime.engines.trt.build import _network_flags
flag = trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
assert _network_flags(trt) == 2 ** int(flag)
assert not absent, f'TensorRT {trt.__version__} lacks {absent}'
print(trt.__version__)
"""


@pytest.fixture(scope="module")
def libraries(tmp_path_factory) -> Path:
    """A folder with TensorRT's libraries, versions 10 and 11, all empty."""
    if importlib.util.find_spec("tensorrt_bindings") is None:
        pytest.skip("TensorRT's bindings are not installed: `pip install tensorrt-cu13-bindings`")
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to make the empty libraries with")
    folder = tmp_path_factory.mktemp("libraries")
    source = folder / "empty.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in SYMBOLS))
    for name in ("libnvinfer", "libnvonnxparser", "libnvinfer_plugin"):
        for version in (10, 11):
            file = folder / f"{name}.so.{version}"
            words = [compiler, "-shared", "-fPIC", "-o", file, f"-Wl,-soname,{file.name}", source]
            subprocess.run(words, check=True)
    return folder


def test_the_bindings_have_every_name(libraries):
    words = [f"{owner}.{member}" for owner, members in NAMES.items() for member in members.split()]
    done = subprocess.run(
        [sys.executable, "-c", ASK, *words],
        env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
