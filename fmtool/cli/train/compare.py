"""`fmtool train compare`: the brain-age gap of two groups, adjusted for age."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    answers: Annotated[
        Path,
        typer.Argument(
            help="A head's out-of-fold table, or a batch's results.csv with a head of age.",
            show_default=False,
        ),
    ],
    participants: Annotated[
        Path,
        typer.Argument(
            help="Their table: participant_id, age, the group, the covariates.", show_default=False
        ),
    ],
    group: Annotated[
        str, typer.Option("--group", help="The column that parts them in two.", show_default=False)
    ],
    covariate: Annotated[
        list[str] | None,
        typer.Option("--covariate", help="A further column to adjust for; repeatable."),
    ] = None,
) -> None:
    """Compare the brain-age gap of two groups, with age and covariates held equal."""
    from fmtool.cli import console
    from training.evidence import gap

    found = gap.compare(answers, participants, group, covariate or ())
    for name, count, mean in zip(found.groups, found.counts, found.means, strict=True):
        console.put(f"{name}: {count} participants, mean gap {mean:+.2f} years")
    low, high = found.interval
    console.put(
        f"{found.groups[1]} - {found.groups[0]}, adjusted for {', '.join(found.adjusted_for)}: "
        f"{found.difference:+.2f} years (95 % interval {low:+.2f} to {high:+.2f})"
    )
    if found.in_sample:
        console.say(
            f"{found.in_sample} answers are left out: the head had learnt from these very scans, "
            "and its out-of-fold table has their values."
        )
    if found.left_out:
        console.say(f"{found.left_out} participants are left out: no answer, or a value is missing")
    console.say(gap.LIMITS)
