"""What an engine is: the facts that it depends on, and when one serves in place of another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SUFFIXES = {"rtx": ".rtx", "tensorrt": ".plan"}
"""By library: the file suffix of its engines."""

_SHORT = {"float32": "", "float16": ".fp16", "int8": ".int8"}
NAMES = {"rtx": "TensorRT-RTX", "tensorrt": "TensorRT"}
"""By library: its name, as people write it."""


@dataclass(frozen=True)
class Key:
    """What an engine was built from and for: where any of it differs, the engine is another.

    Attributes:
        bundle: the bundle's digest.
        library: "rtx" or "tensorrt".
        version: the library's.
        target: the GPU architecture, such as "sm89".
        precision: of the graph: "float32", "float16" or "int8".
        batches: the smallest, usual and largest batch.
        gpu: the name of the GPU that it was built on and for; None for any of its architecture.
        driver: the newest CUDA that GPU's driver ran; None where no GPU took part.
        hardware_compatible: it also runs on newer architectures.
        version_compatible: it also runs with newer versions of the library.
    """

    bundle: str
    library: str
    version: str
    target: str
    precision: str
    batches: tuple[int, int, int]
    gpu: str | None = None
    driver: str | None = None
    hardware_compatible: bool = False
    version_compatible: bool = False

    @property
    def name(self) -> str:
        """The engine's file name; a newer version of the library replaces an older one's engine."""
        batches = "-".join(map(str, self.batches))
        gpu = f".{re.sub('[^a-z0-9]+', '-', self.gpu.lower()).strip('-')}" if self.gpu else ""
        more = (".hc" if self.hardware_compatible else "") + (
            ".vc" if self.version_compatible else ""
        )
        return (
            f"model{_SHORT[self.precision]}.{self.target}{gpu}{more}.b{batches}"
            f"{SUFFIXES[self.library]}"
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Key:
        """The key that `to_dict` gave.

        Raises:
            ValueError: if it is none.
            TypeError: if a field is missing, or not known.
        """
        first, usual, last = map(int, content["batches"])
        key = cls(**{**content, "batches": (first, usual, last)})
        if key.library not in SUFFIXES or key.precision not in _SHORT:
            raise ValueError(f"unknown library {key.library!r} or precision {key.precision!r}")
        return key


def serves(stored: Key, wanted: Key) -> str | None:
    """None if the engine `stored` can be used where `wanted` is asked for; else why not."""
    name = NAMES[stored.library]
    fixed = ("bundle", "library", "precision", "batches")
    for field in fixed:
        if getattr(stored, field) != getattr(wanted, field):
            return f"of another {field.removesuffix('es')}: {getattr(stored, field)}"
    if not _version_fits(stored, wanted):
        return f"built by {name} {stored.version}, {wanted.version} is installed"
    if not _target_fits(stored, wanted):
        return f"built for {stored.target}, this is {wanted.target}"
    if stored.hardware_compatible or stored.gpu is None:
        return None
    if stored.gpu != wanted.gpu:
        return f"built for {stored.gpu}, this is {wanted.gpu or 'any ' + wanted.target}"
    if stored.driver != wanted.driver:
        return f"built with the driver's CUDA {stored.driver}, it is {wanted.driver} now"
    return None


def _version_fits(stored: Key, wanted: Key) -> bool:
    if stored.version == wanted.version:
        return True
    built, here = _numbers(stored.version), _numbers(wanted.version)
    return stored.version_compatible and built[:1] == here[:1] and built <= here


def _target_fits(stored: Key, wanted: Key) -> bool:
    if stored.target == wanted.target:
        return True
    # Compatible means Ampere (sm80) and newer, whatever it was built on; older is not.
    return stored.hardware_compatible and int(wanted.target.removeprefix("sm")) >= 80


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))
