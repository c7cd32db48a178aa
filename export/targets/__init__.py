"""What `fmtool export` can write: one table for its options, their checks and the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from fmtool.bundle import Bundle


@dataclass(frozen=True)
class Target:
    """One kind of file.

    Attributes:
        name: the short name; for an engine, the library's in `runtime.engines.trt.bindings`.
        option: what asks for it; "" is always written.
        what: it is, as the option's help.
        file: its name, or how its name ends.
        needs: to be installed, or to be there.
        options: further options it takes; of "DIR", --fp16 and --tensorrt where it makes something
            of that model, or of that engine.
        where: it is written: "bundle", "engine cache" or "DIR", which its option names and where
            `export.targets.NAME` writes it (`Writer`).
    """

    name: str
    option: str
    what: str
    file: str
    needs: str
    options: tuple[str, ...]
    where: str


_ALWAYS = ("--batch", "--calibration", "--cache")
_ENGINE = ("--target", "--batch", "--engines")

TARGETS = (
    Target("onnx", "", "The float32 model.", "model.onnx", "fmtool[train]", _ALWAYS, "bundle"),
    Target(
        "fp16",
        "--fp16",
        "Add an FP16 model, for a GPU; and its engine, where there is a library and a GPU for it.",
        "model.fp16.onnx",
        "fmtool[train]",
        (*_ENGINE, "--calibration"),
        "bundle",
    ),
    Target(
        "int8",
        "--int8",
        "Add an INT8 model, quantised on the scans of --calibration.",
        "model.int8.onnx",
        "fmtool[train]",
        ("--batch", "--calibration"),
        "bundle",
    ),
    Target(
        "tensorrt",
        "--tensorrt",
        "Add a TensorRT engine for the GPU at hand.",
        ".plan",
        "fmtool[tensorrt], and the GPU it is for",
        _ENGINE,
        "engine cache",
    ),
    Target(
        "rtx",
        "--rtx",
        "Add TensorRT-RTX engines; needs no GPU.",
        ".rtx",
        "fmtool[rtx]",
        _ENGINE,
        "engine cache",
    ),
    Target(
        "triton",
        "--triton",
        "Add the model to this Triton model repository: the FP16 one with --fp16, the engine with "
        "--tensorrt.",
        "config.pbtxt",
        "fmtool[train]",
        ("--batch", "--fp16", "--tensorrt"),
        "DIR",
    ),
)

OPTIONS = {
    "--target": "A GPU architecture to build for, such as sm89; repeat for several. The GPU at "
    "hand if absent.",
    "--batch": "Smallest, usual and largest batch: 1,4,8; one number for all three. The models are "
    "compared with torch at each of them and at 1.",
    "--engines": "The engine cache's folder; the user's cache folder if absent.",
    "--calibration": "A CSV or BIDS folder of scans: --int8 is calibrated on some of them, others "
    "join the comparison with torch, and up to 64 set the normal ranges of the checks.",
    "--cache": "Folder for prepared volumes.",
}


class Writer(Protocol):
    """What the module `export.targets.NAME` of a target that is written to DIR offers."""

    def claim(self, folder: Path, name: str, overwrite: bool) -> Path:
        """Where NAME of that bundle will be, if it may be: asked before minutes of work.

        Raises:
            BundleError: if it cannot be written, or is there and may not be replaced.
        """

    def write(
        self,
        folder: Path,
        bundle: Bundle,
        precision: str,
        batches: Sequence[int],
        plan: Path | None,
        overwrite: bool,
    ) -> Path:
        """What it wrote, complete or not at all.

        Args:
            folder: DIR.
            bundle: as it was packed.
            precision: of the bundle's model to take.
            batches: sizes that the gate has run.
            plan: a TensorRT engine of that model, to take in its place.
            overwrite: replace what is there.
        """


def writer(target: Target) -> Writer:
    """The module of a target that is written to DIR, loaded when it is needed."""
    return cast(Writer, import_module(f"export.targets.{target.name}"))


def help_of(option: str) -> str:
    """The help of one of `OPTIONS`; of one that only some take along, with their names."""
    with_it = takers(option)
    return OPTIONS[option] if "" in with_it else f"{OPTIONS[option]} [{', '.join(with_it)}]"


def takers(option: str) -> list[str]:
    """The options that take this one along; "" among them, if it can stand alone."""
    return [target.option for target in TARGETS if option in target.options]
