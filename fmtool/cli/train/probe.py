"""`fmtool train probe`: from a labelled cohort and a frozen encoder to a head."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fmtool.cli.options import BundleOption
from fmtool.cli.train import run_options as o


def probe(
    cohort: o.CohortArgument,
    task: o.TaskOption,
    encoder: o.EncoderOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="The head's JSON file.")],
    bundle: BundleOption = None,
    cache: o.CacheOption = o.CACHE,
    allow_sites: o.AllowSitesOption = False,
    strict: o.StrictOption = False,
    each_scan_is_a_person: o.EachScanOption = False,
    seed: Annotated[int, typer.Option(help="Of the folds and the bootstrap.")] = 0,
) -> None:
    """Fit a linear probe, cross-validated by subject, and write its head."""
    from fmtool.cli import console
    from fmtool.cli.train import evidence
    from training.runs import linear_probe

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
    )
    evidence.show(found.head, "linear probe", out)
