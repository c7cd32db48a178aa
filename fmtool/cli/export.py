"""`fmtool export`: an encoder and its heads become a bundle, engines and a model repository."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export.targets import TARGETS, Target, help_of, writer
from export.targets.request import request
from fmtool import project as projects
from fmtool.bundle.write import claim
from fmtool.cli import planned
from fmtool.cli.options import (
    BundleOption,
    OverwriteOption,
    ProjectOption,
    SiteOption,
    ThreadsOption,
)
from fmtool.environment import caches
from fmtool.errors import CapabilityError, UsageError
from fmtool.project import Project

if TYPE_CHECKING:
    from export.models import Exported
    from export.targets.trt_engines import EnginesBuilt


def with_targets(function: Callable[..., None]) -> Callable[..., None]:
    """`function(..., **asked)` with an option for each of `TARGETS` that is not always written."""
    own = signature(function, eval_str=True).parameters.values()
    kept = [p for p in own if p.kind is not Parameter.VAR_KEYWORD]
    added = [_option(target) for target in TARGETS if target.option]
    function.__signature__ = Signature([*kept, *added])  # type: ignore[attr-defined]
    return function


def _option(target: Target) -> Parameter:
    folder = target.where == "DIR"
    info = typer.Option(
        target.option, help=target.what, metavar="DIR" if folder else None, show_default=False
    )
    return Parameter(
        target.name,
        Parameter.POSITIONAL_OR_KEYWORD,
        default=None if folder else False,
        annotation=Annotated[Path | None if folder else bool, info],
    )


@with_targets
def export(
    encoder: Annotated[
        list[Path] | None,
        typer.Argument(
            help="A checkpoint, or what `train import` or `train finetune` wrote; several, each "
            "with heads of its own, become one bundle; if absent, a project's, as its fmtool.toml "
            "says, with its heads.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The bundle: NAME.fmtool; a project's own if absent.",
            show_default=False,
        ),
    ] = None,
    head: Annotated[
        list[Path] | None,
        typer.Option("--head", help="A head's JSON file; repeat for several tasks."),
    ] = None,
    architectures: Annotated[
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
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache",
            help=f"{help_of('--cache')[:-1]}; .cache/fmtool, or a project's, if absent.",
            show_default=False,
        ),
    ] = None,
    site: SiteOption = None,
    bundle: BundleOption = None,
    project: ProjectOption = None,
    overwrite: OverwriteOption = False,
    threads: ThreadsOption = None,
    **asked: bool | Path | None,
) -> None:
    """Export to ONNX, compare with torch on real brains, write the bundle, build engines."""
    work = _project(encoder, out, project)
    if work is not None:
        said = work.export
        asked = planned.targets(work, asked)
        architectures, batch = architectures or list(said.targets), batch or said.batch or None
        if calibration is None and (said.calibration or asked["int8"]):
            calibration = work.cohort
        bundle, cache = bundle or work.preprocessing, cache or work.cache
    chosen = [target for target in TARGETS if asked.get(target.name)]
    names = [target.name for target in chosen]
    wanted = request(
        names, architectures or (), batch, engines is not None, calibration is not None
    )
    if find_spec("torch") is None or find_spec("onnx") is None:
        raise CapabilityError(
            "export needs torch and onnx; install them with `pip install 'fmtool[train]'`"
        )
    from export.pack import pack
    from export.targets.trt_engines import build_all
    from fmtool.cli import console
    from fmtool.cli.calibration import Scans, volumes
    from training.evidence import head as heads
    from training.evidence.served import served

    standing, anew = None, overwrite
    if work is not None:
        encoder, head = [work.encoder], head or planned.trained(work)
        if out is None:
            standing = planned.standing(
                work, head, names, wanted.checked, calibration, bundle, site
            )
            overwrite = overwrite or standing.ours
    assert encoder
    place = out or (work.bundle if work else None)
    assert place is not None
    folders = [
        (writer(target), target, Path(str(asked[target.name])))
        for target in chosen
        if target.where == "DIR"
    ]
    for module, _, folder in folders:
        module.claim(folder, place.stem, overwrite)
    loaded = served([heads.load(path) for path in head or []], site)
    models: list[Exported] = []
    if standing is not None and standing.bundle is not None and not anew:
        packed = standing.bundle
        console.say(f"{packed.path}: done already, from the same encoder, heads and options")
    else:
        claim(place, overwrite)
        if standing is not None:
            if standing.ours:
                console.say(f"{place} is replaced: what it is made from has changed")
            standing.begin()
        scans = (
            volumes(calibration, cache or Path(".cache/fmtool"), bundle, "int8" in names)
            if calibration
            else Scans()
        )
        packed = pack(
            place,
            encoder if len(encoder) > 1 else encoder[0],
            loaded,
            source_bundle=bundle,
            fp16="fp16" in names,
            overwrite=overwrite,
            volumes=scans.compared,
            int8=scans.calibrated,
            ranges=scans.ranges,
            batches=wanted.checked,
            progress=console.say,
            exported=models.append,
        )
        if standing is not None:
            standing.finish(packed)
    console.put(f"{packed.path}\ndigest {packed.digest}")
    told = {model.path.name: f"  ({model.describe()})" for model in models}
    for name, facts in packed.manifest.files.items():
        console.put(f"  {facts.bytes / 1e6:8.2f} MB  {name}{told.get(name, '')}")
    outcome = build_all(packed, wanted, engines or caches.folder("engines"), console.say)
    _tell(outcome)
    for module, target, folder in folders:
        plan = outcome.plan if "tensorrt" in names and "--tensorrt" in target.options else None
        precision = wanted.served if "--fp16" in target.options else "float32"
        made = module.write(folder, packed, precision, wanted.checked, plan, overwrite)
        console.put(f"{made}  (from {(plan or packed.model(precision)).name})")
    if outcome.failed:
        raise typer.Exit(1)


def _project(encoder: list[Path] | None, out: Path | None, folder: Path | None) -> Project | None:
    """The project whose encoder is meant; None where one is named."""
    if not encoder:
        found = projects.find(folder)
        if found is None:
            from fmtool.cli import console

            console.needs_project("export", "say ENCODER and --out: `fmtool export --help`")
        return found
    if folder is not None:
        raise UsageError("--project says what to export, and so does ENCODER; leave one out")
    if out is None:
        raise UsageError("name the bundle that ENCODER becomes: --out NAME.fmtool")
    return None


def _tell(outcome: EnginesBuilt) -> None:
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
