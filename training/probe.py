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

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from fmtool.bundle.exposure import Overlap
from fmtool.errors import InputError
from fmtool.task import Task
from runtime.report.rows import Record
from runtime.trust import ordinal
from training import evidence
from training.cohort import Cohort
from training.evidence import (
    conformal,
    covariates,
    cumulative,
    out_of_fold,
    smoothed_scan,
    splits,
    trust,
)
from training.evidence.covariates import Covariates
from training.evidence.head import Head, Linear
from training.evidence.sample import describe, sentence
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
    """

    head: Head
    predictions: Array
    baseline: Array
    rows: list[Record]


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

    Raises:
        InputError: if the subjects are too few, of one class only, or of one label only.
    """
    x = np.asarray(embeddings, dtype=np.float64)
    if x.ndim != 2 or len(x) != len(cohort.rows) or not np.isfinite(x).all():
        raise InputError(f"expected one finite embedding for each of {len(cohort.rows)} rows")
    evidence.check_enough(cohort, "a probe")

    affine = partial(fit_affine, cells=cells)
    plans = [splits.by_subject(cohort, folds, seed + r) for r in range(repeats)]
    heads = [_heads(x, cohort, plan, cells) for plan in plans]
    predictions = np.stack([_out_of_fold(x, *pair) for pair in zip(plans, heads, strict=True)])
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
    others, volumes = {}, None
    if brain_volume_ml is not None:
        volumes = np.asarray(brain_volume_ml, dtype=np.float64)
        alone = np.stack(
            [_out_of_fold(volumes[:, None], p, _heads(volumes[:, None], cohort, p)) for p in plans]
        )
        found["brain_volume"] = evidence.against_rival(cohort, predictions, alone, fold)
        others["brain_volume"] = alone[0]
    smooth = smoothed_scan.out_of_fold(gram, cohort, plans)
    found["smoothed_scan"] = evidence.against_rival(cohort, predictions, smooth, fold)
    if smooth is not None:
        others["smoothed_scan"] = smooth[0]
    limits, found["trust"] = trust.cross(
        x, cohort, plans[0], heads[0], predictions, affine, seed, cells
    )
    head = Head.of(cohort.task, affine(x, cohort), found, encoder_sha256, sample, limits)
    hard, sizes = limits.difficulty, None
    if hard is not None:
        sizes = np.array([hard(e)[k] for e, k in zip(x, fold[0], strict=True)])
    rows = out_of_fold.rows(cohort, predictions, fold[0], baseline[0], others, volumes, sizes, seed)
    return FittedProbe(head, predictions, baseline, rows)


def beside(
    found: FittedProbe,
    embeddings: NDArray[np.floating[Any]],
    cohort: Cohort[Task],
    known: Covariates,
    seed: int = 0,
) -> None:
    """Tell in a probe's evidence and rows what covariates say alone, and what it adds to them.

    Args:
        found: by `fit`, of the same embeddings, cohort and seed.
        embeddings: (N, F).
        cohort: the same scans.
        known: the covariates of all of them.
        seed: of the folds.
    """
    plan = splits.by_subject(cohort, found.head.evidence["folds"], seed)
    x = np.asarray(embeddings, dtype=np.float64)
    told, predicted = covariates.compare(x, cohort, known, found.predictions[0], fit_affine, plan)
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


class ProportionalOdds:
    """`training.evidence.cumulative` as scikit-learn's models are; every row counts one.

    Args:
        penalty: a.
        kinds: K.
    """

    def __init__(self, penalty: float, kinds: int) -> None:
        self._penalty, self.classes_ = penalty, np.arange(kinds)

    def fit(self, x: Array, y: Array) -> ProportionalOdds:
        """(n, D) rows and (n,) classes."""
        mass, kinds = np.ones(len(y)), len(self.classes_)
        self.coef_, self.intercept_ = cumulative.fit(x, y, mass, kinds, self._penalty)
        return self

    def predict_log_proba(self, x: Array) -> Array:
        """(n, D) -> (n, K)."""
        return ordinal.log_chances((x @ self.coef_)[:, None] + self.intercept_)


def _model(task: Task, strength: float, features: int) -> Any:
    if task.kind == "ordinal":
        return ProportionalOdds(features / strength, len(task.classes or ()))
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
        model = ProportionalOdds(1.0, len(cohort.task.classes or ()))
    centre, spread = float(values.mean()), float(values.std()) or 1.0
    model.fit(((values - centre) / spread)[:, None], cohort.labels)
    weight = np.atleast_2d(model.coef_) / spread
    return _linear(weight, np.ravel(model.intercept_) - weight[:, 0] * centre)


def _heads(
    x: Array, cohort: Cohort[Task], plan: Sequence[splits.Split], cells: int = 1
) -> list[Linear]:
    """Weight and bias of each training part of a plan."""
    return [fit_affine(x[train], cohort.take(train), cells) for train, _ in plan]


def _out_of_fold(x: Array, plan: Sequence[splits.Split], heads: Sequence[Linear]) -> Array:
    weights, biases = (np.array(part) for part in zip(*heads, strict=True))
    return conformal.out_of_fold(x, weights, biases, splits.fold_of(plan, len(x)))


def _constant_out_of_fold(cohort: Cohort[Task], plan: Sequence[splits.Split]) -> Array:
    predicted = np.empty(len(cohort.rows))
    for train, test in plan:
        predicted[test] = evidence.constant(cohort.take(train))
    return predicted
