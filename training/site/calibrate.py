"""A bundle's head at a new site, by the site's own labelled controls; nothing is retrained.

A regression gets the line that `training.site.correction` finds, and intervals by CV+ in which
every subject (or one of `GROUPS` groups) is left out of it (Barber et al. 2021, arXiv 1905.02928).
A head of classes gets the site's probabilities, which carry its prior, and split conformal sets
within each class, for the head saw none of the site's scans. All get its novelty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fmtool.bundle import Bundle
from fmtool.bundle.exposure import Overlap
from fmtool.errors import InputError
from fmtool.task import Task
from runtime import trust as trusts
from runtime.engines.heads import affine
from runtime.predict import select
from runtime.trust import Trust
from runtime.trust.classes import Calibrator, Platt
from runtime.trust.folds import Folds
from runtime.trust.interval import interval
from runtime.trust.multiclass import Softmax
from runtime.trust.ordinal import Cumulative, centred
from training import evidence
from training.cohort import Cohort
from training.evidence import (
    calibration,
    conformal,
    evaluate,
    probabilities,
    sample,
    smoothed_scan,
    trust,
)
from training.evidence.conformal import LEVEL, Array
from training.evidence.splits import Split, fold_of
from training.site import correction
from training.site.answers import SiteAnswers
from training.site.correction import Correction

GROUPS = 50
"""The most times that subjects are left out."""

FEWEST = math.ceil(LEVEL / (1.0 - LEVEL) - 1e-9)
"""Subjects, and of a task of classes of each: fewer allow no bounded interval of `LEVEL`, and no
class that a set could exclude."""


@dataclass(frozen=True)
class Calibrated:
    """A head as a site has it.

    Attributes:
        task: the head's.
        correction: of a regression; None of a head of classes, whose model stays as it is.
        evidence: at the site; "parent" is that of the parent, "site" says what changed.
        trust: the site's intervals or sets, probabilities, and novelty.
        agrees: whether the site was in agreement already.
        truth: (N,) labels.
        before: (N,) the parent's values, or probabilities of class 1; of several classes those of
            the true one.
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
        UsageError: if the bundle has no such head.
        InputError: if the subjects are too few, or of a class.
    """
    cohort = answers.cohort
    task = select(bundle, [cohort.task.name])[0]
    if task != cohort.task:
        raise InputError(
            f"bundle {bundle.name} means something else by {task.name} than the task that is "
            "named: its labels are read otherwise; name the task as the bundle has it"
        )
    _check_enough(cohort)
    weight, bias = affine(bundle, [task.name])[task.name]
    parts = bundle.thresholds(task.name)
    if parts is not None:
        bias = bias - np.asarray(parts, dtype=np.float64)
    before = conformal.said(answers.embeddings, weight, bias)
    known = trusts.read(bundle).get(task.name)
    parent = bundle.evidence(task.name)
    cells = bundle.manifest.encoder_of(task.name).cell_count
    made = SiteHead(answers, weight, bias, before, seed, seen, cells)
    return made.regression(known, parent) if task.classes is None else made.sorts(known, parent)


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
        weight: (F,) of the head, or (K, F).
        bias: of the head, or (K,); of an ordinal one its steps'.
        values: (N,) the head's, or its logits; (N, K) of K logits or steps.
        seed: of the folds and the bootstrap.
        seen: whom the bundle had seen; None where that is not known.
        cells: of the bundle's gridded encoder, in all.
    """

    answers: SiteAnswers
    weight: Array
    bias: Any
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
            "kind": "agreement" if whole.agrees else "line",
            "kept": whole.kept,
            "slope": whole.slope,
            "offset": whole.offset,
            "mean_error_interval": list(whole.mean_interval),
            "slope_interval": whole.slope_interval and list(whole.slope_interval),
            "before": self._error(self.values, self._covered(known)),
            "after": self._error(after, self._coverage(plan), evaluate.SHARED),
        }
        return self._made(
            whole, found, site, told, parent, limits, whole.agrees, self.values, after
        )

    def sorts(self, known: Trust | None, parent: dict[str, Any]) -> Calibrated:
        """With the site's probabilities and sets; `known` and `parent` are the parent's."""
        x, cohort, y = self.answers.embeddings, self.cohort, self.cohort.labels
        limits, told = trust.split(x, cohort, self.weight, self.bias, self.seed, self.cells)
        old = self._calibration(known)
        before = _chances(old, self.values)
        after = np.empty_like(before)
        for train, test in left_out(cohort, self.seed):
            after[test] = _chances(self._fitted(train), self.values[test])
        before_loss = _log_loss(y, before)
        gain = before_loss - _log_loss(y, after)
        between = evaluate.mean_interval(gain, cohort.subjects, widened=evaluate.SHARED)
        agrees = between[0] <= 0.0
        if agrees:  # the parent's probabilities are as good: the site's few would only add noise
            after, told["log_loss"] = before, self._mean(before_loss)
            if isinstance(old, Softmax | Cumulative):
                limits = replace(limits, probabilities=old)
            else:
                limits = replace(limits, probability=old)
                told |= {"probability": old.to_dict()["kind"], **trust.sides(before, cohort)}
        same = np.full((1, len(y)), evidence.constant(cohort))
        found = evidence.against_constant(cohort, self.values[None], same)
        shares = [self._mean((y == c).astype(float)) for c in range(len(cohort.task.classes or ()))]
        site = {
            "kind": "agreement" if agrees else "probability",
            "prior": shares if cohort.task.several else shares[1],
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
        shown = (_of_truth(y, p) if p.ndim > 1 else p for p in (before, after))
        return self._made(None, found, site, told, parent, limits, agrees, *shown)

    def _calibration(self, known: Trust | None) -> Calibrator | Softmax | Cumulative:
        """The parent's own, or none."""
        if self.cohort.task.several and known and known.probabilities:
            return known.probabilities
        if self.cohort.task.kind == "ordinal":
            return Cumulative(1.0, np.array(centred(self.bias)[1]))
        if self.cohort.task.kind == "multiclass":
            return Softmax(1.0, np.zeros(self.cohort.task.outputs))
        return (known and known.probability) or Platt(1.0, 0.0)

    def _fitted(self, rows: np.ndarray) -> Calibrator | Softmax | Cumulative:
        """The site's, of some of the scans."""
        values, part = self.values[rows], self.cohort.take(rows)
        if part.task.several:
            return probabilities.fit(values, part)
        return calibration.choose(values, part, self.seed)[0]

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
            "baseline_name": "the site's own mean" if task.classes is None else "chance",
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
            known = Trust(LEVEL, folds, labels=part.labels, by_class=True)
            for row in test:
                hit[row] = int(y[row]) in known.members(known.p_values(x[row]))
        return _by_class(y, hit)

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
    hit = [int(t) in known.members(known.p_values(e)) for e, t in zip(x, y, strict=True)]
    return _by_class(y, np.array(hit))


def _by_class(y: Array, hit: Array) -> dict[str, float]:
    return {str(int(c)): float(hit[y == c].mean()) for c in np.unique(y)}


def _chances(calibrator: Calibrator | Softmax | Cumulative, values: Array) -> Array:
    """(N,) of class 1, or (N, K)."""
    if isinstance(calibrator, Softmax | Cumulative):
        return probabilities.chances(calibrator, values)
    return np.array([calibrator(z) for z in values])


def _of_truth(y: Array, chance: Array) -> Array:
    """(N,): the probability of each scan's own class."""
    if chance.ndim > 1:
        return np.asarray(chance[np.arange(len(y)), y.astype(np.intp)])
    return np.where(y > 0.5, chance, 1.0 - chance)


def _log_loss(y: Array, chance: Array) -> Array:
    return np.asarray(-np.log(np.clip(_of_truth(y, chance), 1e-6, 1.0 - 1e-6)))
