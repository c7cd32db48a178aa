"""`fmtool train probe`, top to bottom: a labelled table and an encoder in, a head out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from fmtool import bundle as bundles
from fmtool import task as tasks
from fmtool.bundle.exposure import Exposure
from training import cohort as cohorts
from training import encoders, probe
from training.cohort.duplicates import refuse_twins
from training.cohort.exposure import exposure, overlap, refuse_labelled
from training.cohort.prepared import brain_ml
from training.evidence import out_of_fold
from training.evidence.covariates import Covariates, having
from training.probe import FittedProbe
from training.store.embed import embeddings
from training.store.prepare import usable
from training.store.smoothed import gram


def run(
    table: str | os.PathLike[str],
    task: str,
    encoder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    cache: str | os.PathLike[str],
    bundle: str | os.PathLike[str] | None = None,
    allow_sites: bool = False,
    strict: bool = False,
    seed: int = 0,
    remark: Callable[[str], None] = lambda sentence: None,
    each_scan_is_a_person: bool = False,
    force: bool = False,
    covariates: Sequence[str] = (),
    harmonise: bool = False,
) -> FittedProbe:
    """Fit a linear probe on a cohort; write its head, and its out-of-fold predictions beside it.

    Args:
        table: a CSV or a BIDS-like folder; see `training.cohort.read`.
        task: one of the built-in tasks.
        encoder: a checkpoint, or a folder that `fmtool train import` wrote.
        out: the head's JSON file.
        cache: folder for prepared volumes and embeddings.
        bundle: whose preprocessing to use; the demonstration bundle if absent.
        allow_sites: accept rows of more than one site.
        strict: refuse rows without a label, which are left out otherwise.
        seed: of the folds and the bootstrap.
        remark: told what whoever trains should know.
        each_scan_is_a_person: see `training.cohort.read`.
        force: keep scans that a check refuses.
        covariates: columns of the table that the head is compared with.
        harmonise: whether to fit it on harmonised embeddings; the covariates' effect is kept.

    Raises:
        InputError: for a table, a scan or a checkpoint that cannot be used, or people whose labels
            have set the encoder's weights.
        UsageError: for an unknown task.
    """
    cohort = cohorts.read(table, tasks.get(task), allow_sites, strict, each_scan_is_a_person)
    for sentence in cohort.remarks:
        remark(sentence)
    cohort = having(cohort, covariates, remark)
    network, info = encoders.load_checkpoint(encoder)
    for sentence in info["remarks"]:
        remark(sentence)
    with bundles.open(bundle) as opened:
        place = Path(cache) / "volumes"
        cohort, entries = usable(cohort, place, opened, force=force, remark=remark)
    refuse_twins(cohort, entries)
    seen: Exposure = info["exposure"]
    tested = overlap(seen, cohort, entries)
    refuse_labelled(tested, cohort, "the table")
    x = embeddings(network, entries, Path(cache) / "embeddings")
    known = Covariates(cohort, covariates) if covariates else None
    by_site = probe.harmoniser(cohort, known, remark) if harmonise else None
    found = probe.fit(
        x,
        cohort,
        seed=seed,
        encoder_sha256=encoders.digest(network),
        brain_volume_ml=[brain_ml(entry) for entry in entries],
        seen=tested,
        cells=encoders.describe(network).cell_count,
        gram=gram(entries),
        by_site=by_site,
    )
    if known is not None:
        probe.beside(found, cohort, known, seed)
    found.head.exposure = seen | exposure(cohort, entries, labels=True)
    found.head.save(out)
    out_of_fold.write(out_of_fold.beside(Path(out)), found.rows, cohort.task)
    return found
