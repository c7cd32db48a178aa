"""`fmtool calibrate` and `fmtool train probe` on a bundle, top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmtool import task as tasks
from fmtool.bundle import Bundle
from fmtool.bundle import exposure as exposures
from fmtool.bundle.exposure import Exposure
from fmtool.errors import UsageError
from fmtool.task import Task
from runtime.engines.choose import Wish
from runtime.predict import select
from runtime.trust import drift
from training import cohort as cohorts
from training import probe
from training.cohort.exposure import exposure, overlap, refuse_labelled
from training.evidence.covariates import Covariates, having
from training.evidence.ranges import ranges
from training.probe import FittedProbe
from training.site import answers, calibrate, results
from training.site.answers import SiteAnswers
from training.site.calibrate import Calibrated


@dataclass(frozen=True)
class SiteCohort:
    """A site's labelled scans, and how a bundle is to answer them.

    Attributes:
        path: a table or a BIDS folder, or a batch's `results.parquet`.
        task: a task's name or file.
        cache: folder for embeddings.
        labels: the table of `results.parquet`.
        wish: the engine and the device.
        allow_sites: accept rows of more than one site.
        strict: refuse rows without a label, which are left out otherwise.
        each_scan_is_a_person: see `training.cohort.read`.
        covariates: columns of the cohort's table that a head is compared with.
        harmonise: whether to fit a head on harmonised embeddings.
        encoder_of: the bundle's head whose encoder a new head is to read, where there are several.
    """

    path: Path
    task: str
    cache: Path
    labels: Path | None = None
    wish: Wish = Wish()
    allow_sites: bool = False
    strict: bool = False
    each_scan_is_a_person: bool = False
    covariates: Sequence[str] = ()
    harmonise: bool = False
    encoder_of: str | None = None


@dataclass(frozen=True)
class SiteScans:
    """What a site's scans look like, for a child bundle.

    Attributes:
        ranges: of the checks.
        reference: by which drift is noticed; None of a batch's results.
        exposure: the scans and the people whose labels were learnt from.
    """

    ranges: dict[str, list[float]]
    reference: dict[str, Any] | None
    exposure: Exposure


def calibrated(
    asked: SiteCohort, bundle: Bundle, seed: int, say: Callable[[str], None]
) -> tuple[Calibrated, SiteScans]:
    """A bundle's head calibrated on a site's controls; see `training.site.calibrate`."""
    found = _answers(asked, bundle, say)
    tested = overlap(exposures.read(bundle).of(found.cohort.task.name), found.cohort, found.scans)
    refuse_labelled(tested, found.cohort, "the controls", "bundle")
    encoder = bundle.manifest.encoder_of(select(bundle, [found.cohort.task.name])[0].name)
    found = found.reading(bundle.manifest.columns(encoder))
    made = calibrate.calibrate(found, bundle, seed, tested)
    errors = made.truth - made.after if made.correction else None
    return made, _scans(found, made.task.name, errors)


def fitted(
    asked: SiteCohort, bundle: Bundle, seed: int, say: Callable[[str], None]
) -> tuple[FittedProbe, SiteScans]:
    """A head of the site's own on a bundle's encoder; see `training.probe`."""
    manifest, known_seen = bundle.manifest, exposures.read(bundle)
    like = asked.encoder_of
    if like is not None:
        select(bundle, [like])
    encoder = manifest.encoder if like is None else manifest.encoder_of(like)
    seen = known_seen.encoder if like is None else known_seen.below(like)
    found = _answers(asked, bundle, say).reading(manifest.columns(encoder))
    tested = overlap(seen, found.cohort, found.scans)
    refuse_labelled(tested, found.cohort, "the table")
    known = Covariates(found.cohort, asked.covariates) if asked.covariates else None
    by_site = probe.harmoniser(found.cohort, known, say) if asked.harmonise else None
    made = probe.fit(
        found.embeddings,
        found.cohort,
        seed=seed,
        encoder_sha256=encoder.sha256,
        brain_volume_ml=list(found.brain_ml),
        seen=tested,
        cells=encoder.cell_count,
        gram=found.gram,
        by_site=by_site,
    )
    if known is not None:
        probe.beside(made, found.cohort, known, seed)
    regression = found.cohort.task.kind == "regression"
    errors = found.cohort.labels - made.predictions.mean(axis=0) if regression else None
    scans = _scans(found, found.cohort.task.name, errors)
    made.head.exposure = seen | scans.exposure
    return made, scans


def _task(asked: SiteCohort, bundle: Bundle) -> Task:
    return bundle.tasks.get(asked.task) or tasks.get(asked.task)


def _answers(asked: SiteCohort, bundle: Bundle, say: Callable[[str], None]) -> SiteAnswers:
    task = _task(asked, bundle)
    if asked.path.suffix == results.SUFFIX:
        if asked.labels is None:
            raise UsageError(f"{asked.path} holds no labels; name their table with --labels")
        found = results.read(asked.path, asked.labels, task, bundle, say)
        cohorts.check_people(found.cohort, asked.allow_sites, asked.each_scan_is_a_person)
        for sentence in found.cohort.remarks:
            say(sentence)
        kept = Covariates(found.cohort, asked.covariates).kept if asked.covariates else None
        return found if kept is None else found.take(kept)
    if asked.labels is not None:
        raise UsageError("--labels goes with a batch's results.parquet; a cohort has its own")
    cohort = cohorts.read(
        asked.path, task, asked.allow_sites, asked.strict, asked.each_scan_is_a_person
    )
    for sentence in cohort.remarks:
        say(sentence)
    cohort = having(cohort, asked.covariates, say)
    return answers.answered(cohort, bundle, asked.cache, asked.wish, say)


def _scans(found: SiteAnswers, task: str, errors: Any) -> SiteScans:
    learnt = exposure(found.cohort, found.scans, labels=True)
    if not found.checks:  # of a batch's results
        return SiteScans({}, None, learnt)
    off = {} if errors is None else {task: list(errors)}
    known = drift.reference(found.checks, off, len(set(found.cohort.subjects)))
    return SiteScans(ranges(found.facts), known.to_dict(), learnt)
