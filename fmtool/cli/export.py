"""`fmtool export`: an encoder and its heads become a bundle, engines and a model repository."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export.targets import help_of, request
from fmtool.cli.options import BundleOption
from fmtool.errors import CapabilityError

if TYPE_CHECKING:
    from export.models import Exported
    from export.trt_engines import Outcome


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
    fp16: Annotated[bool, typer.Option("--fp16", help=help_of("--fp16"))] = False,
    int8: Annotated[bool, typer.Option("--int8", help=help_of("--int8"))] = False,
    tensorrt: Annotated[bool, typer.Option("--tensorrt", help=help_of("--tensorrt"))] = False,
    rtx: Annotated[bool, typer.Option("--rtx", help=help_of("--rtx"))] = False,
    triton: Annotated[
        Path | None,
        typer.Option("--triton", metavar="DIR", help=help_of("--triton"), show_default=False),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", help=help_of("--target"), show_default=False),
    ] = None,
    batch: Annotated[
        str | None, typer.Option("--batch", help=help_of("--batch"), show_default=False)
    ] = None,
    engines: Annotated[
        Path | None, typer.Option("--engines", help=help_of("--engines"), show_default=False)
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            "--calibration", metavar="COHORT", help=help_of("--calibration"), show_default=False
        ),
    ] = None,
    cache: Annotated[Path, typer.Option("--cache", help=help_of("--cache"))] = Path(
        ".cache/fmtool"
    ),
    bundle: BundleOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a bundle, or a model, that is there.")
    ] = False,
) -> None:
    """Export to ONNX, compare with torch on real brains, write the bundle, build engines."""
    flags = {
        "fp16": fp16,
        "int8": int8,
        "tensorrt": tensorrt,
        "rtx": rtx,
        "triton": triton is not None,
    }
    chosen = [name for name, given in flags.items() if given]
    wanted = request(chosen, target or (), batch, engines is not None, calibration is not None)
    if find_spec("torch") is None or find_spec("onnx") is None:
        raise CapabilityError("export needs torch and onnx; install fmtool[train]")
    from export import triton as repositories
    from export.pack import pack
    from export.trt_engines import build_all
    from fmtool.cli import console
    from fmtool.cli.calibration import Scans, volumes
    from runtime.engines import store
    from training import head as heads

    if triton is not None:
        repositories.claim(triton, out.stem, overwrite)
    loaded = [heads.load(path) for path in head or []]
    scans = volumes(calibration, cache, bundle, int8) if calibration else Scans()
    models: list[Exported] = []
    packed = pack(
        out,
        encoder,
        loaded,
        source_bundle=bundle,
        fp16=fp16,
        overwrite=overwrite,
        volumes=scans.compared,
        int8=scans.calibrated,
        ranges=scans.ranges,
        batches=wanted.checked,
        progress=console.say,
        exported=models.append,
    )
    console.put(f"{packed.path}\ndigest {packed.digest}")
    told = {model.path.name: f"  ({model.describe()})" for model in models}
    for name, facts in packed.manifest["files"].items():
        console.put(f"  {facts['bytes'] / 1e6:8.2f} MB  {name}{told.get(name, '')}")
    outcome = build_all(packed, wanted, engines or store.default_folder(), console.say)
    _tell(outcome)
    if triton is not None:
        plan = outcome.plan if tensorrt else None
        folder = repositories.write(triton, packed, wanted.served, wanted.checked, plan, overwrite)
        what = f"TensorRT, {wanted.precision}" if plan else f"ONNX, {wanted.served}"
        console.put(f"{folder}  (Triton, {what})")
    if outcome.failed:
        raise typer.Exit(1)


def _tell(outcome: Outcome) -> None:
    from fmtool.cli import console

    for engine in outcome.built:
        console.put(
            f"  {engine.bytes / 1e6:8.2f} MB  {engine.path}  (built in {engine.seconds:.1f} s; "
            "not compared with torch here: the GPU it is for does that before first use)"
        )
    for sentence in outcome.absent:
        console.say(sentence)
    for sentence in outcome.failed:
        console.complain(sentence)
