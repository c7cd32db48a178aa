"""A head's raw output as an answer: its unit, its limits, and what a reader must see beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fmtool.bundle import exposure, sites
from fmtool.bundle.rivals import unbeaten
from fmtool.task import Task
from runtime.result import Prediction
from runtime.trust import Trust, classes, multiclass, ordinal
from runtime.trust.interval import Interval, interval
from runtime.trust.novelty import WARN


def answer(
    task: Task,
    raw: ArrayLike,
    evidence: dict[str, Any],
    embedding: ArrayLike = (),
    trust: Trust | None = None,
    learnt_from: bool = False,
    thresholds: Sequence[float] | None = None,
) -> Prediction:
    """The prediction of one task.

    Args:
        task: the question.
        raw: the model's output: the value of a regression, the logit of a binary task, the score of
            an ordinal one; (K,) logits of a multiclass one.
        evidence: how well the head did; see `training.evidence`.
        embedding: (F,) of the scan; needed with `trust`.
        trust: the head's calibration.
        learnt_from: whether the head was fitted on this very scan.
        thresholds: on the score; needed of an ordinal task.
    """
    logits = np.atleast_1d(np.asarray(raw, dtype=np.float64))
    value = float(logits[0])
    if task.kind != "regression":
        value = classes.sigmoid(value)
    warnings, of_head = [], []
    if task.valid_range is not None:
        low, high = task.valid_range
        if not low <= value <= high:
            warnings.append(
                f"{value:.1f} {task.unit} cannot be true ({low:g} to {high:g} can): discard it."
            )
    if learnt_from:
        warnings.append(
            "The head has learnt from this scan and its label: the value is no prediction, and "
            "neither error nor interval holds; the out-of-fold table of its training has one."
        )
    if "value" not in evidence:
        of_head.append("How good this head is, is not known: nobody was tested.")
    if evidence.get("beats_baseline") is False:
        of_head.append(
            f"This head did not beat its baseline ({evidence['baseline_name']}) in "
            "cross-validation: read the value as a demonstration, not as information."
        )
    if (evidence.get("exposure") or {}).get("images"):
        of_head.append(exposure.sentence(evidence))
    harmonised = sites.harmonised(evidence)
    if harmonised is not None:
        of_head.append(harmonised)
    for rival in unbeaten(evidence):
        of_head.append(
            f"This head {rival.verdict} than {rival.name} "
            f"({evidence['metric']} {evidence['value']:.2f} against {rival.value:.2f})."
        )
    if trust is None:
        what = "interval" if task.kind == "regression" else "calibrated probability"
        of_head.append(f"No {what}: the bundle has no calibration of this head.")
    said = [*warnings, *of_head]
    plain = Prediction(task, value, evidence, said, learnt_from=learnt_from, of_head=of_head)
    if task.kind == "multiclass":
        plain = _uncalibrated(plain, np.exp(multiclass.log_softmax(logits)))
    if task.kind == "ordinal":
        assert thresholds is not None
        score = float(logits[0])
        known = np.asarray(thresholds, dtype=np.float64)
        plain = replace(_uncalibrated(plain, ordinal.Cumulative(1.0, known)(score)), score=score)
    if trust is None:
        return plain
    if trust.novelty is not None:
        plain = replace(plain, novelty=trust.novelty.p_value(embedding))
    if task.kind == "regression":
        return _regression(plain, embedding, trust)
    if task.several:
        return _several(plain, logits, embedding, trust)
    return _binary(plain, float(logits[0]), embedding, trust)


def unlike(predictions: Mapping[str, Prediction], trusts: Mapping[str, Trust]) -> list[str]:
    """A sentence for each cohort that the scan is unlike, naming the heads calibrated on it."""
    heads: dict[tuple[float, float], list[str]] = {}
    for name, prediction in predictions.items():
        novelty = trusts[name].novelty if name in trusts else None
        p = prediction.novelty
        if novelty is not None and p is not None and novelty.unusual(p):
            heads.setdefault((p, trusts[name].folds.subjects), []).append(name)
    return [
        f"The scan is unlike those of the {subjects:.0f} subjects that calibrate "
        f"{' and '.join(names)} (p = {p:.2g}): neither error nor interval need hold."
        for (p, subjects), names in heads.items()
    ]


def _regression(plain: Prediction, embedding: ArrayLike, trust: Trust) -> Prediction:
    found = interval(trust.folds, embedding, trust.level, trust.difficulty)
    if found is None:
        plain.say_of_head(
            f"No interval: {trust.folds.subjects:.0f} calibration subjects are too few for one "
            f"of {100 * trust.level:.0f} %."
        )
    elif plain.task.valid_range is not None:  # the truth lies in it, so nothing is lost
        low, high = plain.task.valid_range
        found = Interval(_within(found.low, low, high), _within(found.high, low, high), found.level)
    if trust.tendency is None or found is None:
        return replace(plain, interval=found)
    # Of the folds' heads, whose tendency it is: that of the head fitted on all scans is weaker.
    centre = trust.folds.heads(embedding)
    corrected = trust.tendency.corrected(float(centre.mean()))
    return replace(plain, interval=found, corrected=_within(corrected, found.low, found.high))


def _binary(plain: Prediction, raw: float, embedding: ArrayLike, trust: Trust) -> Prediction:
    names, members = plain.task.classes, None
    if trust.labels is not None and names is not None:
        p = trust.p_values(embedding)
        members = [names[label] for label in trust.members(p)]
        if max(p) <= WARN:
            plain.warnings.append(
                f"The scan fits neither {names[0]} nor {names[1]}: hardly any of either class lies "
                f"as far from it (p = {max(p):.2g})."
            )
    probability = trust.probability(raw) if trust.probability else None
    share, used = trust.share, trust.prevalence[1] if trust.prevalence else None
    if probability is not None and share is not None and used is not None:
        probability = classes.at_prevalence(probability, share, used)
    found = replace(
        plain,
        probability=probability,
        prevalence=None if probability is None else used or share,
        members=members,
        level=trust.level,
    )
    _told_apart(found)
    return found


def _several(
    plain: Prediction, logits: NDArray[np.float64], embedding: ArrayLike, trust: Trust
) -> Prediction:
    names, members = plain.task.classes or (), None
    if trust.labels is not None:
        p = trust.p_values(embedding)
        members = [names[c] for c in trust.members(p)]
        if max(p) <= WARN:
            why = "is told apart as little"
            if plain.score is not None:
                why = "lies as far beyond its thresholds"
            plain.warnings.append(
                f"The scan fits none of {', '.join(names)}: hardly any of its likeliest class "
                f"{why} (p = {max(p):.2g})."
            )
    found = replace(plain, members=members, level=trust.level)
    if trust.probabilities is not None and trust.labels is not None:
        share = list(trust.prevalence or trust.shares)
        here = trust.probabilities(logits if plain.score is None else plain.score)
        chances = multiclass.at_shares(here, trust.shares, share).tolist()
        by_name = dict(zip(names, chances, strict=True))
        found = replace(found, probabilities=by_name, shares=dict(zip(names, share, strict=True)))
        uncalibrated, label = plain.probabilities or {}, str(found.label)
        found = replace(found, value=uncalibrated[label], probability=by_name[label])
    _told_apart(found)
    return found


def _uncalibrated(plain: Prediction, chances: NDArray[np.float64]) -> Prediction:
    """With (K,) probabilities of the head's own."""
    by_name = dict(zip(plain.task.classes or (), chances.tolist(), strict=True))
    found = replace(plain, probabilities=by_name)
    return replace(found, value=by_name[str(found.label)])


def _told_apart(found: Prediction) -> None:
    if found.members and found.label not in found.members:
        kinds = {"binary": "likelier", "multiclass": "likeliest", "ordinal": "median"}
        likelier = kinds[found.task.kind]
        found.warnings.append(
            f"The {likelier} class, {found.label}, is not in the prediction set: the set compares "
            "the scan with those of each class, whatever the classes' shares."
        )


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
