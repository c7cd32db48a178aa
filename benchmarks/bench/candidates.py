"""What is measured: an engine in a precision, or a peer; each in a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
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
            spec = {
                "kind": _ENGINE,
                "bundle": str(bundle),
                "engine": choice.engine,
                "device": choice.device,
                "precision": choice.precision,
            }
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
