"""A bundle's model in a Triton model repository: `DIR/NAME/config.pbtxt` and `1/model.onnx`.

The configuration is a `ModelConfig` in protobuf's text format, with the fields that Triton's
documentation names (triton-inference-server/common, `protobuf/model_config.proto`).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from export.graph import INPUTS
from export.reference import template_volume
from fmtool import files
from fmtool.bundle import Bundle
from fmtool.errors import BundleError

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def text(value: str) -> str:
    """A quoted string."""
    return f'"{value.translate(_ESCAPES)}"'


def values(numbers: Sequence[int]) -> str:
    """A list of numbers."""
    return f"[{', '.join(map(str, numbers))}]"


def field(name: str, value: str) -> str:
    """A line of its own: a name and a number, a quoted string, an enum's word or a list."""
    return f"{name}: {value}\n"


def block(name: str, content: str) -> str:
    """A message: its fields, indented, between braces."""
    return f"{name} {{\n{''.join(f'  {line}' for line in content.splitlines(True))}}}\n"


CONFIG = "config.pbtxt"
VERSION = "1"

_QUEUE_MICROSECONDS = 5000
# How long a request may wait for company: little beside what a batch of whole brains takes.


@dataclass(frozen=True)
class _Kind:
    """How Triton runs a model file."""

    backend: str
    platform: str
    file: str


_ONNX = _Kind("onnxruntime", "onnxruntime_onnx", "model.onnx")
_PLAN = _Kind("tensorrt", "tensorrt_plan", "model.plan")


def claim(folder: Path, name: str, overwrite: bool = False) -> Path:
    """`folder/name`, if a model may be written there: to be asked before minutes of work.

    Raises:
        BundleError: if it cannot be written there, if it is there and `overwrite` is false, or is
            no model of a repository.
    """
    target = folder / name
    if target.exists() and not overwrite:
        raise BundleError(f"{target} exists; name another repository, or say --overwrite")
    if target.exists() and not (target / CONFIG).is_file():
        raise BundleError(f"{target} holds no {CONFIG} and is left as it is")
    with files.writing(target):
        files.probe(target)
    return target


def write(
    folder: Path,
    bundle: Bundle,
    precision: str,
    batches: Sequence[int],
    plan: Path | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the model `NAME` of `NAME.fmtool`, complete or not at all.

    Args:
        folder: the model repository; made if it is absent.
        bundle: whose model, and whose template warms the server up.
        precision: of the bundle's ONNX model: "float32" or "float16".
        batches: sizes that the gate has run; the largest is Triton's `max_batch_size`.
        plan: a TensorRT engine of that model, to be served in its place.
        overwrite: replace a model that is there.

    Returns:
        `folder/NAME`.

    Raises:
        BundleError: if it cannot be written; see `claim`. What was there before stays.
    """
    name = bundle.path.stem
    target = claim(folder, name, overwrite)
    model = bundle.model(precision)
    kind = _PLAN if plan else _ONNX
    with files.writing(target):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=files.SCRATCH, dir=_aside(folder)) as scratch:
            staged = Path(scratch) / files.STAGED
            (staged / VERSION).mkdir(parents=True)
            (staged / "warmup").mkdir()
            shutil.copyfile(plan or model, staged / VERSION / kind.file)
            volume = template_volume(bundle.template)
            for input_name, array in zip(INPUTS, volume, strict=True):
                (staged / "warmup" / input_name).write_bytes(array.astype("<f4").tobytes())
            words = _config(name, model, kind, bundle.digest, precision, sorted(set(batches)))
            (staged / CONFIG).write_text(words, encoding="utf-8")
            files.put(staged, target)
    return target


def _aside(folder: Path) -> Path:
    """Where to write before the rename: beside the repository, for a server that is watching it.

    Inside where it must be: beside a mount point is another file system.
    """
    beside = folder.absolute().parent
    same = beside.stat().st_dev == folder.stat().st_dev
    return beside if same and os.access(beside, os.W_OK) else folder


def _config(
    name: str, model: Path, kind: _Kind, digest: str, precision: str, batches: Sequence[int]
) -> str:
    graph = onnx.load(model, load_external_data=False).graph
    largest = max(batches)
    # An FP16 model and an engine are made for a GPU; float32 runs where the server finds itself.
    where = "KIND_AUTO" if precision == "float32" and kind is _ONNX else "KIND_GPU"
    facts = {"bundle_digest": digest, "precision": precision}
    return "".join(
        [
            field("name", text(name)),
            field("backend", text(kind.backend)),
            field("platform", text(kind.platform)),
            field("default_model_filename", text(kind.file)),
            field("max_batch_size", str(largest)),
            *(block("input", _tensor(value)) for value in graph.input),
            *(block("output", _tensor(value)) for value in graph.output),
            block("version_policy", block("latest", field("num_versions", "1"))),
            _batching([b for b in batches if b > 1]),
            block("instance_group", field("count", "1") + field("kind", where)),
            *(_warmup(graph, batch) for batch in sorted({1, largest})),
            *(_parameter(key, value) for key, value in facts.items()),
        ]
    )


def _tensor(value: onnx.ValueInfoProto) -> str:
    return field("name", text(value.name)) + _described(value)


def _described(value: onnx.ValueInfoProto) -> str:
    """Type and shape; Triton adds the batch axis itself."""
    assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    dims = [axis.dim_value for axis in value.type.tensor_type.shape.dim[1:]]
    return field("data_type", "TYPE_FP32") + field("dims", values(dims))


def _batching(sizes: Sequence[int]) -> str:
    if not sizes:
        return ""
    wait = field("max_queue_delay_microseconds", str(_QUEUE_MICROSECONDS))
    return block("dynamic_batching", field("preferred_batch_size", values(sizes)) + wait)


def _warmup(graph: onnx.GraphProto, batch: int) -> str:
    inputs = (
        block(
            "inputs",
            field("key", text(value.name))
            + block("value", _described(value) + field("input_data_file", text(value.name))),
        )
        for value in graph.input
    )
    named = field("name", text(f"template, batch {batch}")) + field("batch_size", str(batch))
    return block("model_warmup", named + "".join(inputs))


def _parameter(key: str, value: str) -> str:
    return block(
        "parameters",
        field("key", text(key)) + block("value", field("string_value", text(value))),
    )
