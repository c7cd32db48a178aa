"""Entry: one place where foreign bytes come in, and how a trial sends them there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from fmtool.errors import FmtoolError

NAMES = (
    "nifti",
    "task",
    "manifest",
    "bundle_zip",
    "trust",
    "robustness",
    "signature",
    "head",
    "dicom_file",
    "dicom_zip",
    "dicom_pixels",
    "cohort_csv",
    "cohort_bids",
    "checkpoint",
    "encoder",
    "monai",
    "ledger",
    "multipart",
    "node_object",
    "node_wire",
)
"""A module of `benchmarks.fuzz.entries` each."""


@dataclass(frozen=True)
class Entry:
    """What is fuzzed.

    Attributes:
        seeds: well-formed inputs to start from; they must be taken, or refused, at once.
        trial: sends an input in; told an empty folder of its own. It may raise `refusals`, and
            nothing else.
        tokens: words of the format, to be put anywhere.
        structured: how inputs are taken apart: "bytes", or "json".
        refusals: what says "no" properly.
    """

    seeds: Callable[[], list[bytes]]
    trial: Callable[[bytes, Path], None]
    tokens: tuple[bytes, ...] = ()
    structured: str = "bytes"
    refusals: tuple[type[BaseException], ...] = (FmtoolError,)


def load(name: str) -> Entry:
    """The entry of that name, or of another module by its full name, with what it imports."""
    entry = import_module(name if "." in name else f"benchmarks.fuzz.entries.{name}").ENTRY
    assert isinstance(entry, Entry)
    return entry
