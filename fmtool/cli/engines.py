"""`fmtool engines list|build|prune`: the cache of engines for NVIDIA GPUs."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from fmtool.cli.options import BundleArgument, EnginesOption, JsonOption
from fmtool.environment import caches
from fmtool.errors import UsageError

app = typer.Typer(help="Engines for NVIDIA GPUs, and their cache.", no_args_is_help=True)


@app.command("list")
def list_(
    engines: EnginesOption = None,
    json: JsonOption = False,
) -> None:
    """Show every engine in the cache, and whether it can be used here."""
    from fmtool.cli import console
    from runtime.engines.cache.inventory import inventory
    from runtime.engines.cache.table import render
    from runtime.engines.trt.bindings import versions

    folder = engines or caches.folder("engines")
    items = inventory(folder, versions())
    if json:
        console.put(json_format.dumps([item.to_dict() for item in items], indent=1))
    elif items:
        console.table(render(items))
    else:
        console.say(f"no engines in {folder}")


@app.command("build")
def build(
    bundle: BundleArgument = None,
    tensorrt: Annotated[bool, typer.Option("--tensorrt", help="Build with TensorRT.")] = False,
    rtx: Annotated[bool, typer.Option("--rtx", help="Build with TensorRT-RTX.")] = False,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            help="A GPU architecture to build for, such as sm89; repeat for several. The GPU at "
            "hand if absent.",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="float32, float16 or int8; float16 if the bundle has it, else float32."),
    ] = None,
    batch: Annotated[
        str, typer.Option("--batch", help="Smallest, usual and largest: 1,4,8; or one number.")
    ] = "1",
    hardware_compatible: Annotated[
        bool,
        typer.Option("--hardware-compatible", help="Run on every GPU since Ampere. [--tensorrt]"),
    ] = False,
    version_compatible: Annotated[
        bool, typer.Option("--version-compatible", help="Run with newer versions of the library.")
    ] = False,
    engines: EnginesOption = None,
) -> None:
    """Compile a bundle's model and keep the engine, unless it is there and whole."""
    if tensorrt and rtx:
        raise UsageError("--tensorrt or --rtx, not both at once")
    from fmtool import bundle as bundles
    from fmtool.cli import console
    from runtime.engines.trt.bindings import parse_batches, pick
    from runtime.engines.trt.cached import build_into, key_of
    from runtime.engines.trt.configure import Options

    batches = parse_batches(batch)
    options = Options(None, hardware_compatible, version_compatible)
    named = "tensorrt" if tensorrt else "rtx" if rtx else None
    library = named or pick(bool(target))
    folder = engines or caches.folder("engines")
    with bundles.open(bundle) as opened:
        has_fp16 = "float16" in opened.manifest.model
        graph = precision or ("float16" if has_fp16 else "float32")
        targets: list[str | None] = [*target] if target else [None]
        for key in [key_of(opened, library, graph, one, batches, options) for one in targets]:
            built = build_into(opened, key, folder, console.say)
            console.put(f"{built.bytes / 1e6:8.2f} MB  {built.path}  ({built.seconds:.1f} s)")


@app.command("prune")
def prune(
    older_than: Annotated[
        float | None,
        typer.Option(
            "--older-than",
            help="Also remove engines of bundles not used for so many days.",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove every engine.")] = False,
    engines: EnginesOption = None,
) -> None:
    """Remove damaged and stale engines and what killed builds left; print what went, and why."""
    from fmtool.cli import console
    from runtime.engines.cache.prune import prune as clear
    from runtime.engines.trt.bindings import versions

    def tell(path: Path, why: str) -> None:
        console.put(f"{path}  ({why})")

    freed = clear(engines or caches.folder("engines"), versions(), tell, older_than, everything)
    console.say(f"{freed / 1e6:.2f} MB freed")
