"""The command line: one file per verb; parse, call, print."""

from __future__ import annotations

import os
import sys

import typer

from fmtool import NOTICE, __version__
from fmtool.cli import (
    bench,
    bids,
    bundle,
    calibrate,
    doctor,
    engines,
    export,
    init,
    ledger,
    predict,
    preprocess,
    results,
    serve,
    status,
    train,
    watch,
)
from fmtool.cli.options import with_threads
from fmtool.environment import caches
from fmtool.errors import FmtoolError
from runtime.system.machine import confine, require

app = typer.Typer(
    name="fmtool",
    help=f"3D brain-MRI foundation models, beside the scanner. {NOTICE}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and stop."
    ),
) -> None:
    del version
    require()
    confine()


app.command("init")(init.init)
app.command("predict")(predict.predict)
app.command("preprocess")(preprocess.preprocess)
app.command("results")(results.results)
app.command("export")(export.export)
app.command("calibrate")(with_threads(calibrate.calibrate))
app.command("bids", cls=bids.BidsAppCommand)(bids.bids)
app.command("bench")(bench.bench)
app.command("watch")(watch.watch)
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)
app.add_typer(train.app, name="train")
app.add_typer(bundle.app, name="bundle")
app.add_typer(engines.app, name="engines")
app.add_typer(ledger.app, name="ledger")
app.add_typer(serve.app, name="serve")


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence and its exit code."""
    try:
        os.environ.setdefault("MPLCONFIGDIR", str(caches.folder("matplotlib")))
        app()
    except FmtoolError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
