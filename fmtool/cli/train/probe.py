"""`fmtool train probe`: a labelled cohort and a frozen encoder to a head, or a child bundle."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fmtool import task as tasks
from fmtool.cli.options import (
    BundleOption,
    DeviceOption,
    EngineOption,
    LabelsOption,
    OverwriteOption,
    SiteOption,
)
from fmtool.cli.train import run_options as o
from fmtool.errors import UsageError

if TYPE_CHECKING:
    from training.probe import FittedProbe
    from training.site.run import SiteCohort

HarmoniseName = StrEnum("HarmoniseName", ["combat"])


def probe(
    cohort: Annotated[
        Path,
        typer.Argument(
            help="A CSV (image_path, mask_path, label) or a BIDS folder; with a bundle's encoder "
            "also a batch's results.parquet, with --labels.",
            show_default=False,
        ),
    ],
    task: o.TaskOption,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="The head's JSON file; or NAME.fmtool for a child of the bundle."
        ),
    ],
    encoder: Annotated[
        Path | None,
        typer.Option(
            "--encoder",
            "-e",
            help="A checkpoint, or what `train import` wrote (needs torch); or a bundle. That of "
            "--bundle if absent.",
            show_default=False,
        ),
    ] = None,
    bundle: BundleOption = None,
    labels: LabelsOption = None,
    encoder_of: Annotated[
        str | None,
        typer.Option(
            "--encoder-of",
            metavar="TASK",
            help="Of a bundle with several encoders: that which this head of it reads.",
            show_default=False,
        ),
    ] = None,
    drop_heads: Annotated[
        bool, typer.Option("--drop-heads", help="Leave the parent's heads out of the child.")
    ] = False,
    overwrite: OverwriteOption = False,
    cache: o.CacheOption = o.CACHE,
    allow_sites: o.AllowSitesOption = False,
    strict: o.StrictOption = False,
    each_scan_is_a_person: o.EachScanOption = False,
    seed: Annotated[int, typer.Option(help="Of the folds and the bootstrap.")] = 0,
    engine: EngineOption = "auto",
    device: DeviceOption = "auto",
    plot: o.PlotOption = False,
    force: o.ForceOption = False,
    covariate: Annotated[
        list[str] | None,
        typer.Option(
            help="A column of the table, such as sex: what it says without a scan is told beside "
            "the head, and what the head adds to it. Repeat for several.",
            show_default=False,
        ),
    ] = None,
    harmonise: Annotated[
        HarmoniseName | None,
        typer.Option(
            help="Take from the embeddings what sites do to them, the covariates' effect kept.",
            show_default=False,
        ),
    ] = None,
    site: SiteOption = None,
) -> None:
    """Fit a linear probe, cross-validated by subject; write its head, or a child bundle with it."""
    from fmtool import bundle as bundles
    from fmtool.cli import console
    from fmtool.cli.train import evidence
    from runtime.engines.choose import Wish
    from training import cohort as cohorts
    from training.cohort.row import need
    from training.harmonise import Harmoniser
    from training.site import needs_scikit_learn

    def check_table() -> None:
        """Before anything heavy is imported."""
        if cohort.suffix != ".parquet":
            said = allow_sites, strict, each_scan_is_a_person
            read = cohorts.read(cohort, tasks.get(task), *said)
            need(read.path, covariate or ())
            if harmonise:
                Harmoniser(read)

    if site is not None and out.suffix != bundles.SUFFIX:
        raise UsageError(
            f"--site goes with a child bundle, and {out} is a head, which keeps all sites; "
            "`fmtool export --site` makes a bundle of one"
        )
    if encoder is not None and not bundles.is_bundle(encoder):
        if out.suffix == bundles.SUFFIX:
            raise UsageError(
                f"{encoder} is no bundle, so {out} cannot be its child; write the head to a .json "
                "file and make a bundle with `fmtool export`"
            )
        if encoder_of is not None:
            raise UsageError("--encoder-of goes with a bundle; a checkpoint is one encoder")
        if labels is not None:
            raise UsageError("--labels goes with a bundle's results.parquet, not with a checkpoint")
        from fmtool.cli.train import needs_torch

        needs_torch()
        check_table()
        from training.runs import linear_probe

        if plot:
            _check_plot()
        found = linear_probe.run(
            cohort,
            task,
            encoder,
            out,
            cache,
            bundle,
            allow_sites,
            strict,
            seed,
            remark=console.say,
            each_scan_is_a_person=each_scan_is_a_person,
            force=force,
            covariates=covariate or (),
            harmonise=harmonise is not None,
        )
        evidence.show(found.head, "linear probe", out, out, found.rows if plot else ())
        return
    if encoder is not None and bundle is not None and encoder.resolve() != bundle.resolve():
        raise UsageError(f"{encoder} and {bundle} are two bundles; name one")
    if force:
        raise UsageError("--force goes with a checkpoint: a bundle answers no refused scan")
    needs_scikit_learn()
    check_table()
    from training.site import run

    if plot:
        _check_plot()
    wish = Wish(engine=engine, device=device)
    asked = run.SiteCohort(
        cohort,
        task,
        cache,
        labels,
        wish,
        allow_sites,
        strict,
        each_scan_is_a_person,
        covariate or (),
        harmonise is not None,
        encoder_of,
    )
    found = _on_bundle(asked, encoder or bundle, out, drop_heads, overwrite, seed, site)
    evidence.show(found.head, "linear probe", out, out, found.rows if plot else ())


def _check_plot() -> None:
    from training.evidence.plot import check_matplotlib

    check_matplotlib()


def _on_bundle(
    asked: SiteCohort,
    bundle: Path | None,
    out: Path,
    drop_heads: bool,
    overwrite: bool,
    seed: int,
    site: str | None,
) -> FittedProbe:
    from export import child
    from export.child import ChildHead, Descent
    from fmtool import bundle as bundles
    from fmtool.bundle import write as bundle_write
    from fmtool.cli import console
    from training.evidence import out_of_fold
    from training.evidence.served import served
    from training.site import run

    makes_child = out.suffix == bundles.SUFFIX
    if makes_child:
        bundle_write.claim(out, overwrite)
    with bundles.open(bundle) as parent:
        console.say(f"On the encoder of {parent.manifest.name}, digest {parent.digest}")
        found, scans = run.fitted(asked, parent, seed, console.say)
        head, beside = found.head, out_of_fold.beside(out)
        if not makes_child:
            head.save(out)
            out_of_fold.write(beside, found.rows, head.task)
            return found
        (head,) = served([head], site)
        whom, name = head.evidence["sample"], head.task.name
        added = ChildHead(
            task=head.task,
            evidence=head.evidence,
            trust=head.trust,
            weight=head.weight,
            bias=head.bias,
            thresholds=head.thresholds,
            encoder_of=asked.encoder_of,
        )
        descent = Descent(
            made=f"a head of {name} was fitted on {whom}, on the parent's encoder.",
            heads=[added],
            keeps=not drop_heads,
            ranges=scans.ranges,
            reference=scans.reference,
            exposure=scans.exposure,
            limits=[f"The head of {name} was fitted on {whom}."],
        )
        child.write(out, parent, descent, overwrite, console.say)
        out_of_fold.write(beside, found.rows, head.task)
    return found
