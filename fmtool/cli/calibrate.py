"""`fmtool calibrate`: a bundle's head made a site's own, by some labelled scans of the site."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fmtool.cli.options import (
    BundleOption,
    DeviceOption,
    EngineOption,
    JsonOption,
    LabelsOption,
    OverwriteOption,
)
from fmtool.cli.train import run_options as o

if TYPE_CHECKING:
    from fmtool.bundle import Bundle
    from training.site.calibrate import Calibrated


def calibrate(
    cohort: Annotated[
        Path,
        typer.Argument(
            help="The site's labelled controls: a CSV (image_path, label), a BIDS folder, or a "
            "batch's results.parquet with --labels.",
            show_default=False,
        ),
    ],
    task: o.TaskOption,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the child bundle, NAME.fmtool.")
    ],
    bundle: BundleOption = None,
    labels: LabelsOption = None,
    page: Annotated[
        Path | None,
        typer.Option(help="An HTML page of both sites, before and after.", show_default=False),
    ] = None,
    cache: o.CacheOption = o.CACHE,
    allow_sites: o.AllowSitesOption = False,
    strict: o.StrictOption = False,
    each_scan_is_a_person: o.EachScanOption = False,
    overwrite: OverwriteOption = False,
    seed: Annotated[int, typer.Option(help="Of the folds and the bootstrap.")] = 0,
    engine: EngineOption = "auto",
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Make a child of a bundle that errs less and covers at this site; nothing is retrained."""
    from training.site import needs_scikit_learn

    needs_scikit_learn()
    from export import child
    from export.child import ChildHead, Descent
    from export.parts import site
    from fmtool import bundle as bundles
    from fmtool.bundle import write as bundle_write
    from fmtool.cli import console
    from runtime.engines.choose import Wish
    from training.site import run

    bundle_write.claim(out, overwrite)
    wish = Wish(engine=engine, device=device)
    asked = run.SiteCohort(
        cohort, task, cache, labels, wish, allow_sites, strict, each_scan_is_a_person
    )
    with bundles.open(bundle) as parent:
        found, scans = run.calibrated(asked, parent, seed, console.say)
        moved = found.correction
        name, whom = found.task.name, found.evidence["sample"]
        descent = Descent(
            made=f"its head of {name} was calibrated on {whom}.",
            heads=[
                ChildHead(
                    task=found.task,
                    evidence=found.evidence,
                    trust=found.trust,
                    slope=moved.slope if moved else 1.0,
                    offset=moved.offset if moved else 0.0,
                )
            ],
            ranges=scans.ranges,
            reference=scans.reference,
            exposure=scans.exposure,
            limits=[f"The head of {name} was calibrated on {whom}."],
        )
        if not scans.ranges:
            console.say("A batch's results hold no checks: the parent's ranges stay.")
        written = child.write(out, parent, descent, overwrite, console.say)
        if page is not None:
            from export.parts.site_page import document
            from runtime.system import atomic

            text = document(found.task, found.evidence, found.truth, found.before, found.after)
            atomic.write_bytes(page, text.encode())
    if json:
        console.put(json_format.dumps(_plain(found, parent, written), indent=1))
        return
    console.put("\n".join(site.sentences(found.task, found.evidence)))
    console.put(f"{written.path}\ndigest {written.digest}")


def _plain(found: Calibrated, parent: Bundle, written: Bundle) -> dict[str, Any]:
    return {
        "task": found.task.name,
        "agrees": found.agrees,
        "evidence": found.evidence,
        "parent": {"name": parent.name, "digest": parent.digest},
        "bundle": {"path": str(written.path), "name": written.name, "digest": written.digest},
    }
