"""What is measured: an engine in a precision, or a peer; each in a process of its own.

The peers of `--against` are torch, and OpenVINO with nothing rearranged.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fmtool.errors import CapabilityError, UsageError
from runtime.engines.choose import PRECISIONS, backends, choose

WORKER = (sys.executable, "-m", "benchmarks.bench.worker")
_ENGINE = "engine"


@dataclass(frozen=True)
class Candidate:
    """Something to measure.

    Attributes:
        name: for people and for the report, such as "openvino bfloat16".
        spec: what the worker opens; see `benchmarks.bench.worker`.
        wanted: named in full: that it cannot run is an error, not a remark.
        command: starts the process; the specification follows as its last argument.
    """

    name: str
    spec: dict[str, Any]
    wanted: bool = False
    command: tuple[str, ...] = WORKER

    @property
    def is_peer(self) -> bool:
        """Not an engine of fmtool's, but there to be compared with."""
        return bool(self.spec["kind"] != _ENGINE)


def find(
    bundle: Path, engines: Sequence[str], precisions: Sequence[str], device: str
) -> tuple[list[Candidate], dict[str, str]]:
    """Every engine in every precision, and why the others are known not to run here.

    Whether an engine takes a precision is found out by opening it, in its own process.

    Args:
        bundle: the bundle's folder.
        engines: names; all that fmtool knows when empty.
        precisions: names; all when empty.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        UsageError: for an unknown name.
        CapabilityError: if an engine that was named cannot run here.
    """
    if "auto" in (*engines, *precisions):
        raise UsageError("`auto` is not measured; name engines and precisions, or none for all")
    wishes, absent = _named(engines, device) if engines else _here(device)
    found: list[Candidate] = []
    for engine, where, can in wishes:
        for precision in dict.fromkeys(precisions or can):
            try:
                choice = choose(engine, where, precision)
            except CapabilityError as error:
                absent[f"{engine} {precision}"] = str(error)
                continue
            spec = {"kind": _ENGINE, "bundle": str(bundle), **vars(choice)}
            suffix = "" if choice.device == "cpu" else f" {choice.device}"
            found.append(Candidate(f"{choice.engine} {choice.precision}{suffix}", spec))
    return found, absent


_Row = tuple[str, str, Sequence[str]]
"""An engine, a device, and the precisions to try when none was named."""


def _named(engines: Sequence[str], device: str) -> tuple[list[_Row], dict[str, str]]:
    return [(engine, device, PRECISIONS) for engine in dict.fromkeys(engines)], {}


def _here(device: str) -> tuple[list[_Row], dict[str, str]]:
    """The engines that run on the device, or on any, and what the others lack."""
    kind = device.partition(":")[0]
    wishes: list[_Row] = []
    absent = {}
    for backend in backends():
        if kind not in ("auto", backend.device):
            continue
        if backend.available:
            where = backend.device if device == "auto" else device
            wishes.append((backend.name.split()[0], where, backend.precisions))
        else:
            absent[backend.name] = backend.reason
    return wishes, absent


@dataclass(frozen=True)
class Variant:
    """A way to run the encoder.

    Attributes:
        bfloat16: under autocast to bfloat16.
        channels_last: weights and volume in `torch.channels_last_3d`.
        folded: BatchNorm folded into the convolutions, as every exported graph has it.
        compiled: by `torch.compile`.
    """

    bfloat16: bool = False
    channels_last: bool = False
    folded: bool = False
    compiled: bool = False

    @property
    def precision(self) -> str:
        """What its convolutions compute in."""
        return "bfloat16" if self.bfloat16 else "float32"


VARIANTS = {
    "eager": Variant(),
    "channels_last": Variant(channels_last=True),
    "autocast": Variant(bfloat16=True),
    "autocast_channels_last": Variant(bfloat16=True, channels_last=True),
    "autocast_folded": Variant(bfloat16=True, channels_last=True, folded=True),
    "compile": Variant(bfloat16=True, channels_last=True, compiled=True),
}
"""By name, from the plainest on; all in inference mode. float32 on CUDA is without TF32."""


_VARIANTS = {"torch": tuple(VARIANTS), "openvino": ("float32", "bfloat16")}
_KINDS = {"torch": "torch", "openvino": "plain_openvino"}
_NEEDS = {"torch": ("torch", "monai", "onnx"), "openvino": ("openvino",)}
_EXTRA = {"torch": "train", "openvino": "cpu"}


def against(names: Sequence[str], bundle: Path, device: str) -> list[Candidate]:
    """The peers of `--against`: "torch" or "openvino" for all its variants, or "torch:VARIANT".

    Raises:
        UsageError: for another name.
        CapabilityError: if what runs a peer, or builds its encoder, is not installed; or if
            OpenVINO is to run on another device than the CPU.
    """
    valid = [each for peer in _VARIANTS for each in (peer, *_variants_of(peer))]
    for name in names:
        if name not in valid:
            raise UsageError(f"--against takes {', '.join(valid)}; not {name!r}")
    return [each for peer in _VARIANTS for each in _peer(peer, names, str(bundle), device)]


def _variants_of(peer: str) -> list[str]:
    return [f"{peer}:{variant}" for variant in _VARIANTS[peer]]


def _peer(peer: str, names: Sequence[str], bundle: str, device: str) -> list[Candidate]:
    wanted = [each for each in _variants_of(peer) if peer in names or each in names]
    if not wanted:
        return []
    lacking = [name for name in _NEEDS[peer] if find_spec(name) is None]
    if lacking:
        raise CapabilityError(
            f"--against {peer} needs {' and '.join(lacking)}; "
            f"`pip install 'fmtool[{_EXTRA[peer]}]'` brings what is missing"
        )
    if peer == "openvino" and device not in ("auto", "cpu"):
        raise CapabilityError(f"--against openvino is measured on the CPU, not on {device}")
    return [_candidate(peer, each, each in names, bundle, device) for each in wanted]


def _candidate(peer: str, name: str, asked: bool, bundle: str, device: str) -> Candidate:
    variant = name.partition(":")[2]
    spec: dict[str, Any] = {"kind": _KINDS[peer], "bundle": bundle}
    if peer == "torch":
        return Candidate(f"torch {variant}", {**spec, "device": device, "variant": variant}, asked)
    return Candidate(f"plain openvino {variant}", {**spec, "precision": variant}, asked)
