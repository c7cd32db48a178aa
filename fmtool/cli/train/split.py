"""`fmtool train split`: which subjects train, validate and test, written to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmtool.cli.train import run_options as o
from fmtool.errors import UsageError


def split(
    cohort: o.CohortArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The split's JSON file, a new one.")],
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            "-t",
            help="Whose labels are balanced between the parts; without it everybody is parted, "
            "as training several tasks together needs.",
            show_default=False,
        ),
    ] = None,
    fractions: Annotated[
        str, typer.Option(help="Of the subjects: training, validation, test.")
    ] = "0.7,0.15,0.15",
    subsets: Annotated[
        str, typer.Option(help="Fractions of the training part, for label efficiency: 0.1,0.2,0.5.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same split.")] = 0,
    test_site: Annotated[
        list[str] | None,
        typer.Option("--test-site", help="Test on this site, train on the others; repeatable."),
    ] = None,
    allow_sites: o.AllowSitesOption = False,
    strict: o.StrictOption = False,
    each_scan_is_a_person: o.EachScanOption = False,
) -> None:
    """Split a cohort by subject, a task's labels balanced between the parts."""
    shares = _numbers("--fractions", fractions)
    if len(shares) != 3:
        raise UsageError(f"--fractions is {fractions!r}; it needs three numbers: 0.7,0.15,0.15")
    wanted = _numbers("--subsets", subsets)
    from fmtool import task as tasks
    from fmtool.cli import console
    from training import cohort as cohorts
    from training.cohort import split as split_file
    from training.cohort import split_make
    from training.evidence import FEWEST

    sites = allow_sites or bool(test_site)
    wanted_task = None if task is None else tasks.get(task)
    table = cohorts.read(cohort, wanted_task, sites, strict, each_scan_is_a_person)
    for sentence in table.remarks:
        console.say(sentence)
    made = split_make.make(
        table, (shares[0], shares[1], shares[2]), seed, wanted, tuple(test_site or ())
    )
    split_file.write(out, made)
    for part, subjects in (*made.subjects.items(), *made.subsets.items()):
        console.say(f"{part}: {len(subjects)} subjects")
    if len(made.subjects["test"]) < FEWEST:
        console.say(f"A training from labels needs {FEWEST} subjects to test on.")
    console.put(str(out))


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",") if word.strip()]
    except ValueError:
        raise UsageError(f"{option} is {text!r}; it needs numbers between commas") from None
