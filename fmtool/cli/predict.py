"""`fmtool predict`: scans in, results out."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmtool.cli.options import (
    AssumeRasOption,
    BundleOption,
    DeviceOption,
    EngineOption,
    ForceOption,
    IdentifiersOption,
    JsonOption,
    ProjectOption,
    ScansArgument,
    SeriesOption,
    SkullOption,
    TasksOption,
    ThreadsOption,
)
from fmtool.errors import InputError, UsageError
from runtime.ledger.names import Identifiers

if TYPE_CHECKING:
    from runtime.batch.workers import Place
    from runtime.engines.choose import Wish
    from runtime.trust import Prevalence


_MANY = 3  # scans, above which a batch is worth a word


def predict(
    scans: ScansArgument,
    task: TasksOption = None,
    bundle: BundleOption = None,
    json: JsonOption = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Folder for an HTML page and a JSON file per scan."),
    ] = None,
    fhir: Annotated[
        Path | None,
        typer.Option("--fhir", help="Folder for a FHIR R4 DiagnosticReport (JSON) per scan."),
    ] = None,
    device: DeviceOption = "auto",
    engine: EngineOption = "auto",
    precision: Annotated[
        str,
        typer.Option(
            help="auto, float32, bfloat16, float16 or int8; one that is named and fails the "
            "bundle's self-test is refused, not replaced."
        ),
    ] = "auto",
    skull: SkullOption = "auto",
    assume_ras: AssumeRasOption = False,
    series: SeriesOption = None,
    force: ForceOption = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder for the results of many scans (CSV, JSON lines, Parquet) and their "
            "ledger. The same command again does what is left.",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            help="With --out, the nodes of a Ray cluster do the work: HOST:PORT of its head, or "
            "auto for the one that this machine belongs to.",
            metavar="ADDRESS",
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="With --out, a folder that keeps what is prepared (28 MB a scan) for other "
            "bundles that prepare alike and for `fmtool train`; nothing is kept if absent.",
            show_default=False,
        ),
    ] = None,
    identifiers: IdentifiersOption = Identifiers.keep,
    prevalence: Annotated[
        list[str] | None,
        typer.Option(
            help="TASK=SHARE: how common the second class is where the scans come from, 0.05 say; "
            "its share in the head's cohort if absent. Of three classes and more each one's: "
            "diagnosis=CN:0.7,MCI:0.2,AD:0.1. Repeat for several tasks.",
            metavar="TASK=SHARE",
            show_default=False,
        ),
    ] = None,
    threads: ThreadsOption = None,
    project: ProjectOption = None,
) -> None:
    """Predict from T1-weighted head scans: raw, skull-stripped, or prepared by TurboPrep."""
    if json and csv:
        raise UsageError("--json and --csv exclude each other; name one")
    if out is None and identifiers is not Identifiers.keep:
        raise UsageError("--identifiers goes with --out")
    if cache is not None and (out is None or ray is not None or report is not None):
        raise UsageError(
            "--cache goes with --out, and neither with --ray, whose nodes have disks of their own, "
            "nor with --report, whose pictures show the whole head"
        )
    if out is None and ray is not None:
        raise UsageError("--ray goes with --out")
    if ray is not None and threads is not None:
        raise UsageError("--threads is of this machine; Ray was told how many cores its nodes have")
    if out is not None and (json or csv):
        raise UsageError("--out writes CSV and JSON lines itself; leave out --json and --csv")
    shares = dict(_share(word) for word in prevalence or ())
    from fmtool import project as projects
    from fmtool.cli import console
    from runtime.batch.inputs import expand, named
    from runtime.documents.fhir import Records
    from runtime.engines.choose import Wish
    from runtime.predict import Predictor
    from runtime.prepare import Reading
    from runtime.preprocess.template import Template
    from runtime.report.publish import Publisher, check_writable
    from runtime.result import Result

    if bundle is None and (plan := projects.find(project)) is not None:
        bundle = plan.made()
        console.say(f"Bundle: {bundle}, of the project {plan.file}")
    wish = Wish(engine=engine, device=device, precision=precision)
    reading = Reading(skull=skull, assume_ras=assume_ras, force=force, series=series)
    records = Records(fhir) if fhir is not None else None
    if out is not None:
        from fmtool.cli.batch import predict_into
        from runtime.system.private import unshared

        place = _place(ray, bundle, wish, shares)
        # One of many is a row of the results; on a cluster it is the nodes that see the paths.
        if ray is None and not any(os.path.lexists(scan) for scan in scans):
            raise InputError(f"{scans[0]} does not exist; check the path")
        with unshared():
            predict_into(
                out,
                lambda: expand(scans),
                place,
                tasks=task,
                reading=reading,
                publisher=(
                    Publisher(report, Template.of(place.bundle), place.bundle.digest)
                    if report
                    else None
                ),
                identifiers=identifiers,
                records=records,
                prevalence=shares,
                store=cache / "volumes" if cache else None,
            )
        return
    if report is not None:
        check_writable(report)  # before minutes of work, not after
    sources = named(scans)
    if len(sources) > _MANY:
        console.say(f"{len(sources)} scans, one by one; --out FOLDER uses all cores and keeps them")
    outcomes: list[dict[str, Any]] = []
    failed = False
    with ExitStack() as stack:
        with console.activity("Loading the bundle"):
            predictor = Predictor(
                bundle, wish=wish, reading=reading, say=console.say, prevalence=shares
            )
            predictor.select(task)
            stack.enter_context(predictor)
        publisher = Publisher(report, predictor.template) if report is not None else None
        console.say(f"Engine: {predictor.engine.describe()} ({predictor.choice.reason})")
        predicted = predictor.predict_many(sources, task)
        for outcome in console.track(predicted, len(sources), "Predicting"):
            if isinstance(outcome, Result):
                if records is not None:
                    console.say(f"FHIR: {records.write(outcome)}")
                for sentence in outcome.warnings:
                    console.say(f"{outcome.scan}: {sentence}")
                if publisher is not None:
                    console.say(f"Report: {publisher.write(outcome)}")
            else:
                failed = True
                console.complain(outcome.reason)
            outcomes.append(outcome.to_dict())
        if publisher is not None:
            index = publisher.write_index([o for o in outcomes if "error" in o])
            console.say(f"Index: {index}")
    console.results(outcomes, "json" if json else "csv" if csv else "table")
    if failed:
        raise typer.Exit(1)


def _share(word: str) -> tuple[str, float | Mapping[str, float]]:
    task, _, told = word.partition("=")
    several = re.findall(r"(.+?):([^:,]*)(?:,|$)", told)  # a class's name may have a comma
    try:
        if not several:
            return task, float(told)
        shares = {name.strip(): float(share) for name, share in several}
    except ValueError:
        shares = {}
    if len(shares) < max(1, len(several)):
        raise UsageError(
            f"--prevalence is {word!r}; it needs a task and a share: sex=0.5, or "
            "diagnosis=CN:0.7,MCI:0.2,AD:0.1"
        )
    return task, shares


def _place(ray: str | None, bundle: Path | None, wish: Wish, prevalence: Prevalence) -> Place:
    from fmtool.cli import console

    if ray is None:
        from runtime.batch.here import Here
        from runtime.predict import Predictor

        return Here(
            Predictor(bundle, wish=wish, say=console.say, prepares=False, prevalence=prevalence)
        )
    from fmtool import bundle as bundles
    from runtime.batch.ray.cluster import Cluster

    return Cluster(ray, bundles.open(bundle), wish, console.say)
