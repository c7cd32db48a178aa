"""A bundle's head at a new site, by the site's own labelled controls; nothing is retrained.

A regression gets the offset or slope that `training.site.correction` finds, and intervals by CV+ in
which every subject (or one of `GROUPS` groups) is left out of it (Barber et al. 2021, arXiv
1905.02928). A binary head gets the site's probabilities, which carry its prior, and split conformal
sets within each class, for the head saw none of the site's scans. Both get the site's novelty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fmtool.bundle import Bundle
from fmtool.bundle.exposure import Overlap
from fmtool.errors import InputError, UsageError
from fmtool.task import Task
from runtime import trust as trusts
from runtime.engines.heads import affine
from runtime.predict import select
from runtime.trust import Trust, classes
from runtime.trust.classes import Platt
from runtime.trust.folds import Folds
from runtime.trust.interval import interval
from training import evidence
from training.cohort import Cohort
from training.evidence import calibration, conformal, evaluate, sample, smoothed_scan, trust
from training.evidence.conformal import LEVEL, Array
from training.evidence.splits import Split, fold_of
from training.site import correction
from training.site.answers import SiteAnswers
from training.site.correction import Correction

GROUPS = 50
"""The most times that subjects are left out."""

FEWEST = math.ceil(LEVEL / (1.0 - LEVEL) - 1e-9)
"""Subjects, and of a binary task of each class: fewer allow no bounded interval of `LEVEL`, and no
class that a set could exclude."""


@dataclass(frozen=True)
class Calibrated:
    """A head as a site has it.

    Attributes:
        task: the head's.
        correction: of a regression; None of a binary head, whose model stays as it is.
        evidence: at the site; "parent" is that of the parent, "site" says what changed.
        trust: the site's intervals or sets, probabilities, and novelty.
        agrees: whether the site was in agreement already.
        truth: (N,) labels.
        before: (N,) the parent's values, or probabilities of class 1.
        after: (N,) the child's, each without its own subject.
    """

    task: Task
    correction: Correction | None
    evidence: dict[str, Any]
    trust: Trust
    agrees: bool
    truth: Array
    before: Array
    after: Array


def calibrate(
    answers: SiteAnswers, bundle: Bundle, seed: int = 0, seen: Overlap | None = None
) -> Calibrated:
    """What the site's controls make of the bundle's head of their task.

    Args:
        answers: of the bundle; their cohort's task names the head.
        bundle: the parent.
        seed: of the folds and the bootstrap.
        seen: whom of the cohort the bundle had seen; not known where absent.

    Raises:
        UsageError: if the bundle has no such head, or one of several classes.
        InputError: if the subjects are too few, or of a class.
    """
    cohort = answers.cohort
    task = select(bundle, [cohort.task.name])[0]
    refuse_several(task)
    if task != cohort.task:
        raise InputError(
            f"bundle {bundle.name} means something else by {task.name} than the task that is "
            "named: its labels are read otherwise; name the task as the bundle has it"
        )
    _check_enough(cohort)
    weight, bias = affine(bundle, [task.name])[task.name]
    before = answers.embeddings @ weight + bias
    known = trusts.read(bundle).get(task.name)
    parent = bundle.evidence(task.name)
    cells = bundle.manifest.encoder.cell_count
    made = SiteHead(answers, weight, bias, before, seed, seen, cells)
    return made.binary(known, parent) if task.kind == "binary" else made.regression(known, parent)


def refuse_several(task: Task) -> None:
    """Refuse a head of more than two classes: to be asked before scans are answered.

    Raises:
        UsageError: with what to do instead.
    """
    if task.kind == "multiclass":
        raise UsageError(
            f"{task.name} has more than two classes, and a site calibrates no such head yet; fit "
            "one on the site's own scans with `fmtool train probe`, under another name"
        )


def _check_enough(cohort: Cohort[Task]) -> None:
    names, task = np.asarray(cohort.subjects), cohort.task
    counts = {"": len(np.unique(names))}
    if task.classes is not None:
        counts = {
            f" of class {name}": len(np.unique(names[cohort.labels == value]))
            for value, name in enumerate(task.classes)
        }
    for whose, count in counts.items():
        if count < FEWEST:
            raise InputError(
                f"{count} subjects{whose} are too few to calibrate {task.name} at "
                f"{100 * LEVEL:.0f} %; {FEWEST} are needed, and 20 are better"
            )


@dataclass(frozen=True)
class SiteHead:
    """A head among a site's answers.

    Attributes:
        answers: of N scans.
        weight: (F,) of the head.
        bias: of the head.
        values: (N,) the head's, or its logits.
        seed: of the folds and the bootstrap.
        seen: whom the bundle had seen; None where that is not known.
        cells: of the bundle's gridded encoder, in all.
    """

    answers: SiteAnswers
    weight: Array
    bias: float
    values: Array
    seed: int
    seen: Overlap | None = None
    cells: int = 1

    @property
    def cohort(self) -> Cohort[Task]:
        """Whose labels are known."""
        return self.answers.cohort

    def regression(self, known: Trust | None, parent: dict[str, Any]) -> Calibrated:
        """Moved by what the controls carry; `known` and `parent` are the parent's of the task."""
        x, cohort, y = self.answers.embeddings, self.cohort, self.cohort.labels
        plan = left_out(cohort, self.seed)
        parts = [self.correction(train) for train, _ in plan]
        whole = self.correction(np.arange(len(y)))
        fold = fold_of(plan, len(y))
        after = np.array([parts[k](v) for k, v in zip(fold, self.values, strict=True)])
        mean, alone = self._baselines(plan)
        found = evidence.against_constant(cohort, after[None], mean[None], fold[None])
        smooth = smoothed_scan.out_of_fold(self.answers.gram, cohort, [plan])
        for name, rival in (("brain_volume", alone[None]), ("smoothed_scan", smooth)):
            found[name] = evidence.against_rival(cohort, after[None], rival, fold[None])
        method = f"CV+ over {len(plan)} folds at the site"
        folds = self.folds(plan, parts)
        limits, told = trust.of_folds(
            method, x, cohort, folds, None, after[None], self.seed, self.cells
        )
        site = {
            "kind": whole.kind,
            "slope": whole.slope,
            "offset": whole.offset,
            "mean_error_interval": list(whole.mean_interval),
            "slope_interval": whole.slope_interval and list(whole.slope_interval),
            "before": self._error(self.values, self._covered(known)),
            "after": self._error(after, self._coverage(plan), evaluate.SHARED),
        }
        agrees = whole.kind == "agreement"
        return self._made(whole, found, site, told, parent, limits, agrees, self.values, after)

    def binary(self, known: Trust | None, parent: dict[str, Any]) -> Calibrated:
        """With the site's probabilities and sets; `known` and `parent` are the parent's."""
        x, cohort, y = self.answers.embeddings, self.cohort, self.cohort.labels
        limits, told = trust.split(x, cohort, self.weight, self.bias, self.seed, self.cells)
        old = known.probability if known and known.probability else Platt(1.0, 0.0)
        before, after = np.array([old(z) for z in self.values]), np.empty(len(y))
        for train, test in left_out(cohort, self.seed):
            part, _ = calibration.choose(self.values[train], cohort.take(train), self.seed)
            after[test] = [part(z) for z in self.values[test]]
        before_loss = _log_loss(y, before)
        gain = before_loss - _log_loss(y, after)
        between = evaluate.mean_interval(gain, cohort.subjects, widened=evaluate.SHARED)
        agrees = between[0] <= 0.0
        if agrees:  # the parent's probabilities are as good: the site's few would only add noise
            limits, after = replace(limits, probability=old), before
            told |= {"probability": old.to_dict()["kind"], "log_loss": self._mean(before_loss)}
            told |= trust.sides(before, cohort)
        mean = np.full((1, len(y)), y.mean())
        found = evidence.against_constant(cohort, self.values[None], mean)
        site = {
            "kind": "agreement" if agrees else "probability",
            "prior": self._mean(y),
            "log_loss_gain_interval": list(between),
            "before": {
                "log_loss": self._mean(before_loss),
                "coverage": _in_set(x, y, known),
            },
            "after": {
                "log_loss": self._mean(_log_loss(y, after)),
                "coverage": self._set_coverage(),
            },
        }
        return self._made(None, found, site, told, parent, limits, agrees, before, after)

    def _made(
        self,
        found_correction: Correction | None,
        found: dict[str, Any],
        site: dict[str, Any],
        told: dict[str, Any],
        parent: dict[str, Any],
        limits: Trust,
        agrees: bool,
        before: Array,
        after: Array,
    ) -> Calibrated:
        whom, task = sample.describe(self.cohort), self.cohort.task
        facts = {
            **found,
            **whom,
            "sample": sample.sentence(whom, task),
            "how": "left-out",
            "baseline_name": "chance" if task.kind == "binary" else "the site's own mean",
            "trust": told,
            "site": site,
            "parent": parent,
        }
        if self.seen is not None:
            facts["exposure"] = self.seen.to_dict()
        truth = self.cohort.labels
        return Calibrated(task, found_correction, facts, limits, agrees, truth, before, after)

    def correction(self, rows: np.ndarray) -> Correction:
        """By each subject's mean over some of the scans."""
        names = np.asarray(self.cohort.subjects)[rows]
        _, who = np.unique(names, return_inverse=True)
        count = np.bincount(who)
        pairs = (self.values[rows], self.cohort.labels[rows])
        values, truth = (np.bincount(who, weights=one) / count for one in pairs)
        return correction.fit(values, truth)

    def folds(self, plan: Sequence[Split], parts: Sequence[Correction]) -> Folds:
        """The head as each training part of the plan moves it, with the test parts' residuals."""
        slopes = np.array([part.slope for part in parts])
        biases = np.array([part(self.bias) for part in parts])
        tested = np.sort(np.concatenate([test for _, test in plan]))
        at = {int(row): i for i, row in enumerate(tested)}
        inside = [(train, np.array([at[int(r)] for r in test])) for train, test in plan]
        x, cohort = self.answers.embeddings[tested], self.cohort.take(tested)
        return conformal.folds_of(x, cohort, inside, self.weight[None], biases, slopes)

    def _coverage(self, plan: Sequence[Split]) -> float:
        """How often the truth lies in an interval made without its subject, each counting once."""
        x, y = self.answers.embeddings, self.cohort.labels
        hit = np.zeros(len(y))
        for train, test in plan:
            inner = [(train[i], train[o]) for i, o in left_out(self.cohort.take(train), self.seed)]
            folds = self.folds(inner, [self.correction(rows) for rows, _ in inner])
            for row in test:
                span = interval(folds, x[row], LEVEL)
                hit[row] = span is None or span.low <= y[row] <= span.high
        return self._mean(hit)

    def _set_coverage(self) -> dict[str, float]:
        """Of each class: how often a set made without the subject holds the truth."""
        x, y, cohort = self.answers.embeddings, self.cohort.labels, self.cohort
        hit = np.zeros(len(y))
        for train, test in left_out(cohort, self.seed):
            part = cohort.take(train)
            every = [(np.arange(0), np.arange(len(train)))]
            folds = conformal.folds_of(
                x[train], part, every, self.weight[None], np.array([self.bias])
            )
            for row in test:
                p = classes.p_values(folds, part.labels, x[row], True)
                hit[row] = int(y[row]) in classes.members(p, LEVEL)
        return _by_class(cohort.task, y, hit)

    def _baselines(self, plan: Sequence[Split]) -> tuple[Array, Array]:
        """(N,) and (N,): the other subjects' mean, and what their brain volume says, by a line."""
        y, volume = self.cohort.labels, self.answers.brain_ml
        mean, alone = np.empty(len(y)), np.empty(len(y))
        for train, test in plan:
            mass = evaluate.masses(self.cohort.take(train).subjects)
            mean[test] = np.average(y[train], weights=mass)
            around = volume[train] - np.average(volume[train], weights=mass)
            spread = float(mass @ around**2)
            slope = float(mass @ (around * y[train])) / spread if spread > 0.0 else 0.0
            centre = np.average(volume[train], weights=mass)
            alone[test] = mean[test] + slope * (volume[test] - centre)
        return mean, alone

    def _covered(self, known: Trust | None) -> float | None:
        """How often the parent's own intervals hold the site's truth; None where it has none."""
        if known is None:
            return None
        hit = np.full(len(self.values), np.nan)
        for i, (e, t) in enumerate(zip(self.answers.embeddings, self.cohort.labels, strict=True)):
            span = interval(known.folds, e, known.level, known.difficulty)
            if span is not None:
                hit[i] = span.low <= t <= span.high
        return None if np.isnan(hit).any() else self._mean(hit)

    def _error(self, values: Array, coverage: float | None, widened: float = 1.0) -> dict[str, Any]:
        error = self.cohort.labels - values
        size, subjects = np.abs(error), self.cohort.subjects
        return {
            "value": self._mean(size),
            "interval": list(evaluate.mean_interval(size, subjects, True, widened)),
            "mean_error": -self._mean(error),
            "coverage": coverage,
        }

    def _mean(self, values: Array) -> float:
        """Over the scans, every subject counting once."""
        return float(np.average(values, weights=evaluate.masses(self.cohort.subjects)))


def left_out(cohort: Cohort[Task], seed: int) -> list[Split]:
    """Every subject left out in turn, or one of `GROUPS` groups of them."""
    names = np.asarray(cohort.subjects)
    order = np.random.default_rng(seed).permutation(np.unique(names))
    tested = (np.isin(names, g) for g in np.array_split(order, min(GROUPS, len(order))))
    return [(np.flatnonzero(~test), np.flatnonzero(test)) for test in tested]


def _in_set(x: Array, y: Array, known: Trust | None) -> dict[str, float] | None:
    if known is None or known.labels is None:
        return None
    hit = [
        int(t)
        in classes.members(classes.p_values(known.folds, known.labels, e, known.by_class), LEVEL)
        for e, t in zip(x, y, strict=True)
    ]
    return {str(int(c)): float(np.mean(np.array(hit)[y == c])) for c in (0.0, 1.0)}


def _by_class(task: Task, y: Array, hit: Array) -> dict[str, float]:
    return {str(c): float(hit[y == c].mean()) for c in (0, 1)}


def _log_loss(y: Array, chance: Array) -> Array:
    sure = np.clip(chance, 1e-6, 1.0 - 1e-6)
    return np.asarray(-np.log(np.where(y > 0.5, sure, 1.0 - sure)))
