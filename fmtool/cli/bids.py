"""`fmtool bids`: a BIDS App, with the options that its kind has."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from fmtool.cli.options import BundleOption, DeviceOption, EngineOption
from runtime.system.machine import confine

_LISTS = ("--participant-label", "--session-label")


class Level(StrEnum):
    """What a BIDS App is asked for: each participant's derivatives, or the table of all."""

    participant = "participant"
    group = "group"


class BidsAppCommand(TyperCommand):
    """Takes `--participant_label 01 02` as BIDS Apps do, beside this project's own way."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat an option before each of its values."""
        found: list[str] = []
        listed = ""
        for word in args:
            if word.startswith("--"):
                name, equals, value = word.partition("=")
                word = name.replace("_", "-") + equals + value
                listed = word if word in _LISTS else ""
            elif word.startswith("-"):
                listed = ""
            elif listed and found[-1] != listed:
                found.append(listed)
            found.append(word)
        return super().parse_args(ctx, found)


def bids(
    bids_dir: Annotated[
        Path, typer.Argument(help="The data set.", metavar="BIDS_DIR", show_default=False)
    ],
    output_dir: Annotated[
        Path, typer.Argument(help="Folder for the derivatives.", metavar="OUTPUT_DIR")
    ],
    level: Annotated[
        Level,
        typer.Argument(
            help="participant makes the derivatives of each scan, group the table of all.",
            metavar="LEVEL",
        ),
    ],
    participant_label: Annotated[
        list[str] | None,
        typer.Option(help="Only these participants, with or without sub-; several may follow."),
    ] = None,
    session_label: Annotated[
        list[str] | None,
        typer.Option(help="Only these sessions, with or without ses-; several may follow."),
    ] = None,
    bids_filter_file: Annotated[
        Path | None,
        typer.Option(help='JSON file of entities: {"t1w": {"acquisition": "mprage", "run": 1}}.'),
    ] = None,
    bundle: BundleOption = None,
    device: DeviceOption = "auto",
    engine: EngineOption = "auto",
    n_cpus: Annotated[
        int | None, typer.Option("--n-cpus", min=1, callback=confine, help="Cores to take.")
    ] = None,
    mem_mb: Annotated[
        int | None, typer.Option(min=1, help="Memory to take: it bounds the scans at once.")
    ] = None,
    skip_bids_validation: Annotated[
        bool,
        typer.Option(
            "--skip-bids-validation", help="Do not run bids-validator-deno where it is installed."
        ),
    ] = False,
    work_dir: Annotated[
        Path | None,
        typer.Option(
            "--work-dir",
            "-w",
            help="Folder of the ledger, on a local disk; OUTPUT_DIR/.fmtool if absent.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make derivatives of a BIDS data set's T1-weighted heads; again, do what is left."""
    from fmtool.cli import console
    from runtime.bids import dataset, group, select, validator
    from runtime.bids.derivatives import Derivatives

    filters = select.read_filter(bids_filter_file) if bids_filter_file else {}
    heads = select.select(bids_dir, participant_label or (), session_label or (), filters)
    if level is Level.group:
        for path in group.write(bids_dir, output_dir, heads):
            console.put(str(path))
        return
    if not skip_bids_validation and not validator.validate(bids_dir):
        console.say(f"Not validated: {validator.PROGRAM} is not installed")
    from fmtool.cli.batch import predict_into
    from runtime.batch.here import Here
    from runtime.batch.resources import at_once
    from runtime.engines.choose import Wish
    from runtime.ledger import Identifiers
    from runtime.predict import Predictor
    from runtime.prepare import Reading
    from runtime.report.publish import check_writable

    wish = Wish(engine=engine, device=device)
    place = Here(
        Predictor(bundle, wish=wish, say=console.say, prepares=False),
        at_once(mem_mb << 20) if mem_mb else None,
    )
    check_writable(output_dir)
    dataset.begin(bids_dir, output_dir, place.bundle)
    predict_into(
        work_dir or output_dir / dataset.WORK,
        lambda: heads,
        place,
        tasks=None,
        reading=Reading(),
        publisher=Derivatives(bids_dir, output_dir, place.bundle.digest),
        volumes=True,
        identifiers=Identifiers.keep,
    )
