"""ONNX Runtime's providers for an NVIDIA GPU: what each needs, and a session that is really on it.

ONNX Runtime falls back to the CPU in three places: where a provider's library cannot be loaded,
for single nodes that a provider does not take, and in Python where a session fails to start or to
run (microsoft/onnxruntime#23372, #23612, #23647). Each is switched off here, and the session that
results is asked where it runs.
"""

from __future__ import annotations

import ctypes
import importlib
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmtool.errors import CapabilityError
from fmtool.errors.advice import option
from runtime.engines import cuda
from runtime.engines.cuda import gpu, together
from runtime.system.machine import cores

CPU = "CPUExecutionProvider"
_PLUGIN = "onnxruntime_ep_nv_tensorrt_rtx"
_NVINFER = "nvinfer_10.dll" if sys.platform == "win32" else "libnvinfer.so.10"


@dataclass(frozen=True)
class Provider:
    """One provider.

    Attributes:
        name: as ONNX Runtime calls it.
        title: as people do.
        plugin: it comes in a package of its own, and is registered at run time.
    """

    name: str
    title: str
    plugin: bool = False


PROVIDERS = {
    "onnxruntime": Provider("CUDAExecutionProvider", "CUDA"),
    "onnxruntime-tensorrt": Provider("TensorrtExecutionProvider", "TensorRT"),
    "onnxruntime-rtx": Provider("NvTensorRTRTXExecutionProvider", "TensorRT-RTX", plugin=True),
}
"""By the engine's name in `runtime.engines.table`."""


def missing(ort: Any, engine: str, number: int) -> str | None:
    """What the provider lacks to use GPU `number`, or None; cheap, as it makes no session."""
    lacks = [gpu(number)]
    if engine == "onnxruntime-rtx":
        lacks += [_plugin_missing(ort), _unsupported(number)]
    elif PROVIDERS[engine].name not in ort.get_available_providers():
        lacks.append(
            f"the installed ONNX Runtime is built without {PROVIDERS[engine].title} "
            "(`pip uninstall onnxruntime`, then `pip install 'fmtool[gpu]'`)"
        )
    elif engine == "onnxruntime-tensorrt":
        lacks.append(_nvinfer_missing())
    return together(lacks)


def settings(ort: Any) -> Any:
    """`SessionOptions` for the cores there are.

    Left to itself ONNX Runtime takes the machine's, and pins its threads outside a taskset's.
    """
    made = ort.SessionOptions()
    made.intra_op_num_threads = cores()
    return made


def session(
    ort: Any, model: Path | bytes, engine: str, number: int, precision: str, cache: Path | None
) -> Any:
    """A session on GPU `number` and on nothing else.

    Args:
        ort: the ONNX Runtime module.
        model: an ONNX file, or its bytes.
        engine: a name of `PROVIDERS`.
        number: the GPU's.
        precision: of the model's graph.
        cache: a folder for what the provider compiles; none is kept when absent.

    Raises:
        CapabilityError: if the provider, the GPU or a library is missing, or if ONNX Runtime
            answers with a session that runs elsewhere.
    """
    provider = PROVIDERS[engine]
    where = f"ONNX Runtime cannot run with {provider.title} on cuda:{number}"
    lacks = missing(ort, engine, number)
    if lacks:
        raise CapabilityError(f"{where}: {lacks}")
    wanted = settings(ort)
    wanted.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    options = _options(engine, number, precision, cache)
    try:
        if provider.plugin:
            wanted.add_provider_for_devices([_device(ort, provider.name, number)], options)
            made = ort.InferenceSession(model, wanted, enable_fallback=0)
        else:
            if hasattr(ort, "preload_dlls"):  # finds the CUDA libraries that pip installed
                ort.preload_dlls()
            asked = [(provider.name, options)]
            made = ort.InferenceSession(model, wanted, providers=asked, enable_fallback=0)
    except CapabilityError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions share no other base
        kept = f" (it keeps what it compiles in {cache})" if cache else ""
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CapabilityError(f"{where}: {reason}{kept}") from error
    made.disable_fallback()  # nor may a run that fails start again on the CPU
    runs_on = made.get_providers()
    if not runs_on or runs_on[0] != provider.name:
        raise CapabilityError(
            f"{where}: it offered {runs_on[0] if runs_on else 'nothing'} instead; check that the "
            f"libraries of {provider.title} that it was built for are installed"
        )
    return made


def _options(engine: str, number: int, precision: str, cache: Path | None) -> dict[str, str]:
    """The provider's options; each is documented, and all values are text.

    float16 is never asked for here: it is in the graph. int8 is too, but TensorRT's provider reads
    a quantised graph only with its flag set.
    """
    if engine == "onnxruntime":
        # TF32 would round every product to 10 bits, which is not what "float32" promises.
        return {"device_id": str(number), "use_tf32": "0"}
    if engine == "onnxruntime-rtx":  # its GPU is chosen by the device that it is added for
        return {"nv_runtime_cache_path": str(cache)} if cache else {}
    options = {"device_id": str(number)}
    if precision == "int8":
        options["trt_int8_enable"] = "1"
    if cache:
        options |= {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(cache),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(cache),
        }
    return options


def _device(ort: Any, name: str, number: int) -> Any:
    """The plugin's device for GPU `number`; the plugin is registered once per process."""
    if not any(device.ep_name == name for device in ort.get_ep_devices()):
        plugin = importlib.import_module(_PLUGIN)
        ort.register_execution_provider_library(name, plugin.get_library_path())
    found = [device for device in ort.get_ep_devices() if device.ep_name == name]
    if len(found) <= number:
        raise CapabilityError(f"TensorRT-RTX offers {len(found)} GPU(s), and no number {number}")
    return found[number]


def _plugin_missing(ort: Any) -> str | None:
    try:
        importlib.import_module(_PLUGIN)
    except (ImportError, OSError) as error:
        return f"its TensorRT-RTX plugin cannot be used ({error}; `pip install 'fmtool[rtx]'`)"
    if not hasattr(ort, "register_execution_provider_library"):
        return f"ONNX Runtime {ort.__version__} takes no plugins (`pip install -U onnxruntime`)"
    return None


def _unsupported(number: int) -> str | None:
    """The plugin's GPUs are sm86, sm89, and sm120 and newer."""
    here = cuda.architecture(number)
    if here is None or here in ("sm86", "sm89") or int(here.removeprefix("sm")) >= 120:
        return None
    advice = option("; --engine onnxruntime runs on it")
    return f"TensorRT-RTX has nothing for this GPU ({here}){advice}"


def _nvinfer_missing() -> str | None:
    with suppress(ImportError, OSError):  # pip's package brings the library along; else the system
        importlib.import_module("tensorrt")
    try:
        ctypes.CDLL(_NVINFER)
    except OSError:
        return (
            f"TensorRT 10 is not installed ({_NVINFER} cannot be loaded; `pip install "
            "'fmtool[tensorrt]' 'tensorrt<11'`)"
        )
    return None
