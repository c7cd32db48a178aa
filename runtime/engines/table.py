"""The engines that fmtool knows: one table for the choice, the help, `fmtool doctor` and the docs.

The order is the one that `auto` takes them in, first those on a GPU: what compiles the model for
the GPU before what interprets it, and a library itself before ONNX Runtime's way to it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EngineRow:
    """An engine on one kind of device.

    Attributes:
        name: as `--engine` takes it.
        title: as people write it.
        device: "cpu" or "cuda".
        precisions: what it computes in; "bfloat16" where the CPU has it.
        needs: what has to be there.
        get: the command that installs it.
        good_for: one phrase, for a machine that has it.
        module: of `runtime.engines`, with what `runtime.engines.base.Module` says; "" for the
            engines that may run on a GPU, which `here` and `opening` know one by one.
    """

    name: str
    title: str
    device: str
    precisions: tuple[str, ...]
    needs: str
    get: str
    good_for: str
    module: str = ""


_CUDA = "an NVIDIA GPU and its driver"
_GRAPH = ("float32", "float16", "int8")
ROWS = (
    EngineRow(
        "tensorrt", "TensorRT", "cuda", _GRAPH, f"{_CUDA}, TensorRT 10.12 or newer",
        "pip install 'fmtool[tensorrt]'",
        "compiled for this GPU; the first start builds for minutes",
    ),
    EngineRow(
        "tensorrt-rtx", "TensorRT-RTX", "cuda", _GRAPH,
        f"{_CUDA}: sm75 (float16), sm80, sm86, sm89 or sm120 and newer; not sm90",
        "pip install 'fmtool[rtx]'", "compiled for this GPU; the first start builds for seconds",
    ),
    EngineRow(
        "onnxruntime-tensorrt", "ONNX Runtime with TensorRT", "cuda",
        _GRAPH, f"{_CUDA}, TensorRT 10",
        "pip install 'fmtool[gpu,tensorrt]' 'tensorrt<11'", "TensorRT as ONNX Runtime drives it",
    ),
    EngineRow(
        "onnxruntime-rtx", "ONNX Runtime with TensorRT-RTX", "cuda",
        _GRAPH,
        f"{_CUDA}: sm86, sm89 or sm120 and newer, ONNX Runtime 1.24",
        "pip install 'fmtool[cpu,rtx]'", "TensorRT-RTX as ONNX Runtime drives it",
    ),
    EngineRow(
        "onnxruntime", "ONNX Runtime with CUDA", "cuda", ("float32", "float16"),
        f"{_CUDA}, CUDA and cuDNN", "pip install 'fmtool[gpu]'", "nothing to build; any NVIDIA GPU",
    ),
    EngineRow(
        "openvino", "OpenVINO", "cpu", ("float32", "bfloat16", "int8"), "a CPU",
        "pip install 'fmtool[cpu]'", "the fastest on a CPU", "openvino",
    ),
    EngineRow(
        "onnxruntime", "ONNX Runtime", "cpu", ("float32", "int8"), "a CPU",
        "pip install 'fmtool[cpu]'", "runs anywhere",
    ),
)  # fmt: skip

NAMES = tuple(dict.fromkeys(row.name for row in ROWS[::-1]))
"""As `--engine` lists them."""

NATIVE = {"tensorrt": "tensorrt", "tensorrt-rtx": "rtx"}
"""The engines of the engine cache, with the names that `runtime.engines.trt` gives them."""

HELP = f"auto, {', '.join(NAMES)}."
"""Of `--engine`."""


def find(name: str, device: str) -> EngineRow | None:
    """The row of an engine on "cpu" or "cuda"; None if it does not run there."""
    return next((row for row in ROWS if (row.name, row.device) == (name, device)), None)


def markdown() -> str:
    """The table for the docs."""
    head = "| engine | device | precisions | needs | get it |\n|---|---|---|---|---|\n"
    lines = (
        f"| `{row.name}` | {row.device} | {', '.join(row.precisions)} | {row.needs} | "
        f"`{row.get}` |\n"
        for row in ROWS
    )
    return head + "".join(lines)
