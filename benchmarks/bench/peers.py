"""What `--against` measures beside the engines: torch, and OpenVINO with nothing rearranged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.bench.candidates import Candidate
from fmtool.errors import CapabilityError, UsageError


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
    valid = [each for peer in _VARIANTS for each in (peer, *_named(peer))]
    for name in names:
        if name not in valid:
            raise UsageError(f"--against takes {', '.join(valid)}; not {name!r}")
    return [each for peer in _VARIANTS for each in _peer(peer, names, str(bundle), device)]


def _named(peer: str) -> list[str]:
    return [f"{peer}:{variant}" for variant in _VARIANTS[peer]]


def _peer(peer: str, names: Sequence[str], bundle: str, device: str) -> list[Candidate]:
    wanted = [each for each in _named(peer) if peer in names or each in names]
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
