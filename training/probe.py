"""The linear probe: a frozen encoder's embeddings, one standardised linear model, honest evidence.

With e the embedding by an encoder in eval mode, m and s the mean and deviation of each of its F
features over the training rows (s of a gridded encoder: of each channel, see `training.span`), and
z = (e - m) / s:

    regression: w, b minimise  sum (w . z + b - y)^2 + a |w|^2                 a in F * 10^(-3 .. 3)
    binary:     w, b minimise  C sum log(1 + exp(-(2 y - 1)(w . z + b))) + |w|^2 / 2
                                                                        C in 10^(-3 .. 3) / F
    multiclass: w_c, b_c minimise  C sum -log softmax_y(w_c . z + b_c) + sum |w_c|^2 / 2      (same)
    ordinal:    w, t minimise  C sum -log P(y | w . z, t) + |w|^2 / 2     thresholds t rising (same)
                               by the proportional-odds model of `training.evidence.cumulative`

the strength chosen by three inner folds over subjects. Unlike upstream's probe, which trains by
gradient with BatchNorm's statistics adrift, each scan is embedded once (arXiv 2509.10620 for the
task and the frozen encoder).

Everything that is reported comes from predictions of subjects that the model did not see, by
cross-validation over subjects, repeated with other folds. Regularisation is chosen inside each
training part. The head that ships is fitted on all rows, by the same procedure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from fmtool.bundle.exposure import Overlap
from fmtool.errors import InputError
from fmtool.task import Task
from runtime.report.rows import Record
from training import evidence
from training.cohort import Cohort
from training.evidence import (
    conformal,
    confounded,
    covariates,
    cumulative,
    out_of_fold,
    sites,
    smoothed_scan,
    splits,
    trust,
)
from training.evidence.covariates import Covariates
from training.evidence.difficulty import Affine
from training.evidence.head import Head, Linear
from training.evidence.sample import describe, sentence
from training.harmonise import Harmonised, Harmoniser, Views
from training.span import Span

Array = NDArray[np.float64]

_STRENGTHS = np.logspace(-3, 3, 7)
_INNER_FOLDS = 3


@dataclass
class FittedProbe:
    """What a fit found.

    Attributes:
        head: the head, fitted on all rows; its `evidence` has the figures below.
        predictions: (repeats, N) out-of-fold: the value, or the logit of class 1; (repeats, N, K)
            logits of K classes, or K steps between classes in an order.
        baseline: (repeats, N) what the training folds' `evidence.constant` predicts for them.
        rows: the same for people, a row per scan; see `training.evidence.out_of_fold`.
        views: (N, F) embeddings, as each fold of the first cross-validation sees them.
        affine: what fitted them, for more heads of the kind.
    """

    head: Head
    predictions: Array
    baseline: Array
    rows: list[Record]
    views: Sequence[Array]
    affine: Affine


def fit(
    embeddings: NDArray[np.floating[Any]],
    cohort: Cohort[Task],
    seed: int = 0,
    folds: int = 5,
    repeats: int = 5,
    encoder_sha256: str = "",
    brain_volume_ml: Sequence[float] | None = None,
    seen: Overlap | None = None,
    cells: int = 1,
    gram: Array | None = None,
    by_site: Harmoniser | None = None,
) -> FittedProbe:
    """Fit and judge a linear probe.

    Args:
        embeddings: (N, F), of the frozen encoder in eval mode.
        cohort: the same scans, whose labels to predict.
        seed: of the folds and the bootstrap.
        folds: of the cross-validation over subjects.
        repeats: how often it is repeated with other folds.
        encoder_sha256: digest of the encoder, kept in the head.
        brain_volume_ml: (N,), to report beside the head what brain volume alone achieves.
        seen: whom of the cohort the encoder had seen; not known where absent.
        cells: of a gridded encoder, in all.
        gram: (N, N) inner products of the scans' smoothed maps, to report beside the head what a
            linear model of them achieves; not measured where absent.
        by_site: of the cohort, to fit on harmonised embeddings, see `training.harmonise`; the
            rivals and novelty are of scans as they are.

    Raises:
        InputError: if the subjects are too few, of one class only, or of one label only; or where
            a training part's sites cannot be harmonised.
    """
    x = np.asarray(embeddings, dtype=np.float64)
    if x.ndim != 2 or len(x) != len(cohort.rows) or not np.isfinite(x).all():
        raise InputError(f"expected one finite embedding for each of {len(cohort.rows)} rows")
    evidence.check_enough(cohort, "a probe")

    affine = partial(fit_affine, cells=cells)
    plans = [splits.by_subject(cohort, folds, seed + r) for r in range(repeats)]
    judged = [_Judged.of(x, cohort, plan, affine, by_site) for plan in plans]
    predictions = np.stack([one.predictions for one in judged])
    fold = np.stack([splits.fold_of(plan, len(x)) for plan in plans])
    baseline = np.stack([_constant_out_of_fold(cohort, plan) for plan in plans])
    sample = describe(cohort)
    found = {
        **evidence.against_constant(cohort, predictions, baseline, fold),
        **sample,
        "sample": sentence(sample, cohort.task),
        "folds": folds,
        "repeats": repeats,
    }
    if seen is not None:
        found["exposure"] = seen.to_dict()
    left_out = sites.left_out(x, cohort, affine, by_site)
    if left_out is not None:
        found["leave_one_site_out"] = left_out
    if by_site is not None:
        without = np.stack([_Judged.of(x, cohort, plan, affine).predictions for plan in plans])
        rival = evidence.against_rival(cohort, predictions, without, fold)
        together = confounded.measure(cohort)
        found["harmonised"] = {**by_site.told(), "without": rival, "confounding": together}
    others, volumes = {}, None
    if brain_volume_ml is not None:
        volumes = np.asarray(brain_volume_ml, dtype=np.float64)
        alone = np.stack(
            [_Judged.of(volumes[:, None], cohort, p, fit_affine).predictions for p in plans]
        )
        found["brain_volume"] = evidence.against_rival(cohort, predictions, alone, fold)
        others["brain_volume"] = alone[0]
    smooth = smoothed_scan.out_of_fold(gram, cohort, plans)
    found["smoothed_scan"] = evidence.against_rival(cohort, predictions, smooth, fold)
    if smooth is not None:
        others["smoothed_scan"] = smooth[0]
    first = judged[0]
    limits, found["trust"] = trust.cross(
        x, cohort, plans[0], first.heads, predictions, affine, seed, cells, first.views
    )
    harmonised, whole = None, x
    if by_site is not None and isinstance(first.views, Views):
        maps = by_site.estimated(x, np.arange(len(x)))
        harmonised, whole = Harmonised(maps, first.views.maps), maps(x, by_site.sites)
    head = Head.of(cohort.task, affine(whole, cohort), found, encoder_sha256, sample, limits)
    head.harmonised = harmonised
    hard, sizes = limits.difficulty, None
    if hard is not None:
        own = splits.own(first.views, fold[0])
        sizes = np.array([hard(e)[k] for e, k in zip(own, fold[0], strict=True)])
    rows = out_of_fold.rows(cohort, predictions, fold[0], baseline[0], others, volumes, sizes, seed)
    return FittedProbe(head, predictions, baseline, rows, first.views, affine)


def harmoniser(
    cohort: Cohort[Task], known: Covariates | None, remark: Callable[[str], None]
) -> Harmoniser:
    """What harmonises a cohort's embeddings; `remark` is told where the label follows the site.

    Args:
        cohort: whose sites.
        known: the covariates of all its rows, whose effect is kept; None for none.

    Raises:
        InputError: where it cannot be harmonised; see `Harmoniser`.
    """
    given = () if known is None else (known.values, known.names)
    made = Harmoniser(cohort, *given)
    warning = confounded.warning(confounded.measure(cohort), cohort.task)
    if warning is not None:
        remark(warning)
    return made


def beside(
    found: FittedProbe,
    cohort: Cohort[Task],
    known: Covariates,
    seed: int = 0,
) -> None:
    """Tell in a probe's evidence and rows what covariates say alone, and what it adds to them.

    Args:
        found: by `fit`, of the same cohort and seed.
        cohort: the same scans.
        known: the covariates of all of them.
        seed: of the folds.
    """
    plan = splits.by_subject(cohort, found.head.evidence["folds"], seed)
    told, predicted = covariates.compare(
        found.views, cohort, known, found.predictions[0], found.affine, plan
    )
    found.head.evidence["covariates"] = told
    covariates.into(found.rows, known, predicted, cohort.task)


def fit_affine(x: Array, cohort: Cohort[Task], cells: int = 1) -> Linear:
    """Standardise, then ridge or logistic regression, its strength chosen over subjects.

    Args:
        x: (N, F), embeddings; fitted in the span of the rows, see `training.span`.
        cohort: the same scans; no subject is in two inner folds.
        cells: of a gridded encoder, in all, which have one scale in each channel.

    Returns:
        weight and bias of the embedding as it is.

    Raises:
        InputError: if there are too few subjects for the inner folds.
    """
    y, features = cohort.labels, x.shape[1]
    losses = np.zeros(len(_STRENGTHS))
    with threadpool_limits(1):  # hundreds of small fits: threads would spend the time meeting up
        for train, test in splits.by_subject(cohort, _INNER_FOLDS, seed=0):
            span = Span.of(x[train], cells)
            held = span(x[test])
            for i, strength in enumerate(_STRENGTHS):
                model = _model(cohort.task, strength, features).fit(span.coordinates, y[train])
                losses[i] += _loss(model, held, y[test])
        span = Span.of(x, cells)
        best = _model(cohort.task, _STRENGTHS[losses.argmin()], features).fit(span.coordinates, y)
        weight, bias = span.weights(np.atleast_2d(best.coef_), np.atleast_1d(best.intercept_))
    return _linear(weight, bias)


def _linear(weight: Array, bias: Array) -> Linear:
    """Of (K, F) and (K,), or of an ordinal task (1, F) and its steps' biases."""
    alike = len(weight) == 1
    return (weight[0] if alike else weight), (float(bias[0]) if len(bias) == 1 else bias)


def _model(task: Task, strength: float, features: int) -> Any:
    if task.kind == "ordinal":
        return cumulative.ProportionalOdds(features / strength, len(task.classes or ()))
    if task.kind == "regression":
        return Ridge(strength * features)  # the penalty's scale grows with the features
    if task.kind == "multiclass":  # whose intercepts have a common shift that no Newton step finds
        return LogisticRegression(C=strength / features, max_iter=1000)
    # Newton's steps: as exact in any basis, where a gradient's largest entry is another in each.
    return LogisticRegression(C=strength / features, solver="newton-cholesky", tol=1e-8)


def _loss(model: Any, x: Array, y: Array) -> float:
    """Mean squared error, or log loss."""
    if isinstance(model, Ridge):
        return float(np.square(model.predict(x) - y).mean())
    if isinstance(model, LogisticRegression):  # not by probabilities, which round to 0 far out
        z = model.decision_function(x)
        logits = np.stack([np.zeros(len(z)), z], axis=1) if z.ndim == 1 else z
        chances = logits - logsumexp(logits, axis=1, keepdims=True)
    else:
        chances = model.predict_log_proba(x)
    likely = chances[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    return float(-likely.mean())


def one_number(values: Array, cohort: Cohort[Task]) -> Linear:
    """Weight and bias of a linear model of one number a scan, (N,), such as brain volume."""
    model: Any = LinearRegression() if cohort.task.kind == "regression" else LogisticRegression()
    if cohort.task.kind == "ordinal":
        model = cumulative.ProportionalOdds(1.0, len(cohort.task.classes or ()))
    centre, spread = float(values.mean()), float(values.std()) or 1.0
    model.fit(((values - centre) / spread)[:, None], cohort.labels)
    weight = np.atleast_2d(model.coef_) / spread
    return _linear(weight, np.ravel(model.intercept_) - weight[:, 0] * centre)


class _Judged(NamedTuple):
    """One cross-validation: embeddings as its folds see them, weight and bias of each, answers."""

    views: Sequence[Array]
    heads: list[Linear]
    predictions: Array

    @classmethod
    def of(
        cls,
        x: Array,
        cohort: Cohort[Task],
        plan: Sequence[splits.Split],
        affine: Affine,
        harmoniser: Harmoniser | None = None,
    ) -> _Judged:
        parts = [train for train, _ in plan]
        views: Sequence[Array] = [x] * len(plan)
        if harmoniser is not None:
            views = harmoniser.views(x, parts)
        pairs = zip(views, parts, strict=True)
        heads = [affine(view[train], cohort.take(train)) for view, train in pairs]
        weights, biases = (np.array(part) for part in zip(*heads, strict=True))
        fold = splits.fold_of(plan, len(x))
        own = splits.own(views, fold)
        return cls(views, heads, conformal.out_of_fold(own, weights, biases, fold))


def _constant_out_of_fold(cohort: Cohort[Task], plan: Sequence[splits.Split]) -> Array:
    predicted = np.empty(len(cohort.rows))
    for train, test in plan:
        predicted[test] = evidence.constant(cohort.take(train))
    return predicted
