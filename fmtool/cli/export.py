"""`fmtool export`: an encoder and its heads become a bundle."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from fmtool.errors import CapabilityError


def export(
    encoder: Annotated[
        Path,
        typer.Argument(help="A checkpoint, or what `train import` wrote.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The bundle: NAME.fmtool.")],
    head: Annotated[
        list[Path] | None,
        typer.Option("--head", help="A head's JSON file; repeat for several tasks."),
    ] = None,
    fp16: Annotated[bool, typer.Option("--fp16", help="Add an FP16 model, for a GPU.")] = False,
    preprocessing: Annotated[
        Path | None,
        typer.Option(
            "--preprocessing",
            help="The bundle whose skull-stripping networks and template to take; the "
            "demonstration bundle if absent.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a bundle that is there.")
    ] = False,
) -> None:
    """Export to ONNX, compare with torch on a real brain, and write the bundle."""
    if find_spec("torch") is None or find_spec("onnx") is None:
        raise CapabilityError("export needs torch and onnx; install fmtool[train]")
    from export.pack import pack
    from fmtool.cli import console
    from training import head as heads

    loaded = [heads.load(path) for path in head or []]
    bundle = pack(
        out,
        encoder,
        loaded,
        source_bundle=preprocessing,
        fp16=fp16,
        overwrite=overwrite,
        progress=console.say,
    )
    console.put(f"{bundle.path}\ndigest {bundle.digest}")
    for name, facts in bundle.manifest["files"].items():
        console.put(f"  {facts['bytes'] / 1e6:8.2f} MB  {name}")
