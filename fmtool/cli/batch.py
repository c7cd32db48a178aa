"""`fmtool predict --out`: many scans into a folder of results with its ledger."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import typer

from fmtool import progress
from fmtool.cli import console
from runtime.batch import inputs, outputs
from runtime.batch.enrol import enrol
from runtime.batch.resources import check_space
from runtime.batch.run import BatchPlan, run
from runtime.batch.stop import Stop, StoppedEarly
from runtime.batch.worker import Setup
from runtime.batch.workers import Place
from runtime.ledger import FILE, Identifiers, Ledger
from runtime.ledger.drifting import remember
from runtime.predict import select
from runtime.prepare import Reading
from runtime.preprocess.template import Template
from runtime.report.parquet import has_parquet
from runtime.report.publish import Publisher, check_writable
from runtime.trust import drift


def predict_into(
    folder: Path,
    named: Sequence[Path],
    place: Place,
    *,
    tasks: Sequence[str] | None,
    reading: Reading,
    report: Path | None,
    identifiers: Identifiers,
) -> None:
    """Answer all scans that are named and not yet answered, and write the results of all.

    Args:
        folder: of the results and the ledger.
        named: files, folders, lists.
        place: where the workers are.
        tasks: to write; all are computed.
        reading: how to read the scans.
        report: a folder for a page per scan.
        identifiers: what becomes of the scans' paths in the ledger and the results.

    Raises:
        typer.Exit: with 1 if a scan failed, or 128 plus the signal's number.
    """
    check_writable(folder)
    if report is not None:
        check_writable(report)
    check_space(folder)
    if not has_parquet():
        console.say("No Parquet: pyarrow is not installed (`pip install 'fmtool[parquet]'`)")
    bundle = place.bundle
    with ExitStack() as stack:
        stack.callback(bundle.close)
        wanted = [task.name for task in select(bundle, tasks)]
        sources = inputs.expand(named)
        stop = stack.enter_context(Stop())
        setup = Setup(bundle.path, reading, folder, report is not None)
        try:
            staff = stack.enter_context(place.open(setup, stop))
        except StoppedEarly:
            raise typer.Exit(128 + (stop.signal or 0)) from None
        options = {
            "head": reading.skull,  # the key that ledgers know it by
            "assume_ras": reading.assume_ras,
            "force": reading.force,
            "series": reading.series,
            "engine": staff.engine,
            "precision": staff.precision,
        }
        ledger = stack.enter_context(Ledger(folder / FILE, identifiers))
        remember(ledger, bundle.digest, drift.read(bundle))
        with console.activity("Finding the scans"):
            scans = []
            for scan in enrol(ledger, sources, bundle.digest, options):
                scans.append(scan)
                if stop.signal is not None:  # the files of an earlier run stay as they are
                    raise typer.Exit(128 + stop.signal)
        items = list(dict.fromkeys(scan.item for scan in scans))
        waiting = [item for item in items if ledger.state(item) in ("waiting", "running")]
        console.say(f"{len(scans)} scans, {len(items) - len(waiting)} settled before: {folder}")
        template = Template.load(bundle.template)
        publisher = Publisher(report, template) if report is not None else None
        advance = stack.enter_context(progress.scans(len(waiting), "Predicting", console.say))

        def settled(state: str, sentence: str) -> None:
            if sentence:
                console.complain(sentence)
            advance()

        try:
            run(
                BatchPlan(
                    scans=scans,
                    ledger=ledger,
                    folder=folder,
                    hire=staff.hire,
                    settled=settled,
                    publisher=publisher,
                    stop=stop,
                )
            )
        finally:
            paths = outputs.write(ledger, folder, [scan.item for scan in scans], wanted)
            if publisher is not None:
                console.say(f"Index: {publisher.write_index()}")
            states = [ledger.state(item) for item in items]
    for path in paths:
        console.put(str(path))
    done, failed = states.count("done"), states.count("failed") + states.count("quarantined")
    left = len(states) - done - failed
    console.say(f"{done} done, {failed} failed, {left} left")
    if stop.signal is not None:
        console.say(f"stopped by {signal.Signals(stop.signal).name}: run it again for the rest")
        raise typer.Exit(128 + stop.signal)
    if failed:
        raise typer.Exit(1)
