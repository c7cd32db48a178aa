"""`fmtool predict --out`: many scans into a folder of results with its ledger."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType

import typer

from fmtool import progress
from fmtool.cli import console
from runtime import trust
from runtime.batch import outputs
from runtime.batch.enrol import enrol
from runtime.batch.inputs import Source
from runtime.batch.resources import check_space
from runtime.batch.run import BatchPlan, Publishing, run
from runtime.batch.stop import Stop, StoppedEarly
from runtime.batch.worker import Setup
from runtime.batch.workers import Place
from runtime.documents.fhir import Records
from runtime.ledger import FILE, Identifiers, Ledger
from runtime.ledger.drifting import remember
from runtime.ledger.outcomes import outcomes
from runtime.predict import select
from runtime.prepare import Reading
from runtime.report import words
from runtime.report.parquet import has_parquet
from runtime.report.publish import check_writable
from runtime.system.private import own
from runtime.trust import Prevalence, drift


def predict_into(
    folder: Path,
    find: Callable[[], Sequence[Source]],
    place: Place,
    *,
    tasks: Sequence[str] | None,
    reading: Reading,
    publisher: Publishing | None,
    volumes: bool = False,
    identifiers: Identifiers,
    records: Records | None = None,
    prevalence: Prevalence = MappingProxyType({}),
    store: Path | None = None,
) -> None:
    """Answer all scans that are found and not yet answered, and write the results of all.

    Args:
        folder: of the results and the ledger.
        find: gives the scans.
        place: where the workers are.
        tasks: to write; all are computed.
        reading: how to read the scans.
        publisher: of each scan's own files.
        volumes: whether it takes those of `runtime.report.derivatives`.
        identifiers: what becomes of the scans' paths in the ledger and the results.
        records: of FHIR reports, of all scans that are answered.
        prevalence: see `runtime.predict.Predictor`, which `place` was made with it, too; results
            for another one are others.
        store: of prepared volumes; see `runtime.store`.

    Raises:
        UsageError: for a prevalence that no probability can be corrected by.
        typer.Exit: with 1 if a scan failed, or 128 plus the signal's number.
    """
    if own(folder, FILE, shared=True):
        console.say(f"{folder} was open to other users; it is closed to them now")
    check_writable(folder)
    check_space(folder)
    if not has_parquet():
        console.say("No Parquet: pyarrow is not installed (`pip install 'fmtool[parquet]'`)")
    bundle = place.bundle
    with ExitStack() as stack:
        stack.callback(bundle.close)
        wanted = [task.name for task in select(bundle, tasks)]
        trust.used_at(trust.read(bundle), prevalence, bundle.tasks)  # before any worker starts
        sources = find()
        stop = stack.enter_context(Stop())
        pictures, shares = publisher is not None, dict(prevalence)
        setup = Setup(bundle.path, reading, folder, pictures, volumes, shares, store)
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
            **({"prevalence": shares} if shares else {}),
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
        advances: list[Callable[[], None]] = []

        def begun(count: int) -> None:
            console.say(f"{len(scans)} scans, {len(items) - count} settled before: {folder}")
            shown = progress.scans(count, "Predicting", console.say)
            advances.append(stack.enter_context(shown))

        def settled(state: str, sentence: str) -> None:
            if sentence:
                console.complain(sentence)
            advances[0]()

        try:
            run(
                BatchPlan(
                    scans=scans,
                    ledger=ledger,
                    folder=folder,
                    hire=staff.hire,
                    settled=settled,
                    publisher=publisher,
                    begun=begun,
                    stop=stop,
                )
            )
        finally:
            numbers = [scan.item for scan in scans]
            paths = outputs.write(ledger, folder, numbers, wanted)
            if records is not None:
                answered = outputs.answered(ledger, numbers, wanted)
                paths += [records.write_data(one) for one in answered]
            if publisher is not None:
                failures = [o for o in outcomes(ledger, items) if "error" in o]
                console.say(f"Index: {publisher.write_index(failures)}")
            states = [ledger.state(item) for item in items]
            said = words.of_batch(outputs.answered(ledger, numbers, wanted))
    for path in paths:
        console.put(str(path))
    done, failed = states.count("done"), states.count("failed") + states.count("quarantined")
    left = len(states) - done - failed
    console.say(f"{done} done, {failed} failed, {left} left")
    for sentence in said:
        console.say(sentence)
    if stop.signal is not None:
        console.say(f"stopped by {signal.Signals(stop.signal).name}: run it again for the rest")
        raise typer.Exit(128 + stop.signal)
    if failed:
        raise typer.Exit(1)
