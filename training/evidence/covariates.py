"""A head beside what is known without a scan: age, sex, site.

A group that is older than the other is told from it by age alone. With z the covariates (numbers as
they are, words as one column for each but the first) and s the head's value or logit, both
standardised, the same folds are predicted three ways:

    the head          s
    covariates alone  w . z + b
    together          w . (s, z) + b        s by three inner folds, so that it is no better in
                                            training than it will be in testing

Only where "together" beats "covariates alone" does the scan say what age and sex do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fmtool.errors import InputError
from fmtool.task import Task
from runtime.report.rows import Record
from training import evidence
from training.cohort import Cohort
from training.cohort.coded import coded
from training.cohort.labels import given
from training.cohort.row import need, read_table
from training.evidence import splits
from training.evidence.conformal import Array
from training.evidence.difficulty import Affine
from training.evidence.splits import Split

_INNER = 3


class Covariates:
    """Columns of a cohort's table.

    Attributes:
        names: of the columns.
        kept: positions of the rows that have them all.
        values: float64 (len(kept), C).
        cells: of each kept row, by name.
    """

    def __init__(self, cohort: Cohort[Task], names: Sequence[str]) -> None:
        need(cohort.path, names)
        table = read_table(cohort.path)
        if len(cohort.task.classes or ()) > 2:
            raise InputError(
                "covariates are compared for a number or for two classes, not for more"
            )
        own = cohort.task.label
        if own in names:
            raise InputError(f"{own} is what is to be predicted; it cannot be a covariate as well")
        by_line = dict(table.rows)
        every = [{n: given(by_line[row.line][n]) for n in names} for row in cohort.rows]
        self.names = list(names)
        self.kept = [i for i, cells in enumerate(every) if None not in cells.values()]
        self.cells = [{n: str(every[i][n]) for n in names} for i in self.kept]
        if not self.kept:
            raise InputError(f"{cohort.path}: no row has {' and '.join(names)}")
        self.values = np.column_stack(
            [coded(name, [row[name] for row in self.cells]) for name in names]
        )


def having(
    cohort: Cohort[Task], names: Sequence[str], remark: Callable[[str], None]
) -> Cohort[Task]:
    """The rows that have all of these covariates; `remark` is told how many have not."""
    if not names:
        return cohort
    kept = Covariates(cohort, names).kept
    if len(kept) < len(cohort.rows):
        lacking = len(cohort.rows) - len(kept)
        remark(f"{lacking} rows without {' or '.join(names)} are left out.")
    return cohort.take(kept)


def compare(
    views: Sequence[Array],
    cohort: Cohort[Task],
    covariates: Covariates,
    predictions: Array,
    affine: Affine,
    plan: Sequence[Split],
) -> tuple[dict[str, Any], Array]:
    """The head beside its covariates, in one cross-validation; and what both predict.

    Args:
        views: (N, F) embeddings, as each fold of the plan sees them.
        cohort: of the head's task, all of whose rows have the covariates.
        covariates: of these rows.
        predictions: (N,) the head's, of the same plan; (N, K) of K classes.
        affine: fits a head.
        plan: the first of the head's cross-validations.

    Returns:
        "names", "head", "alone", "together" (MAE or AUC, of this cross-validation alone), "gain"
        (together - alone) with its "gain_interval", whether the scan "adds" to what the covariates
        say, and whether the head is "better_alone" than they are, all of it "said" in a sentence;
        then what both predict, (2, N) or (2, N, K).
    """
    z, fold = covariates.values, splits.fold_of(plan, len(predictions))
    alone, together = np.empty(predictions.shape), np.empty(predictions.shape)
    for view, (train, test) in zip(views, plan, strict=True):
        part, seen = cohort.take(train), view[train]
        alone[test] = _fitted(z[train], part)(z[test])
        score = np.empty((len(train), *predictions.shape[1:]))
        for inner, out in splits.by_subject(part, _INNER, seed=0):
            weight, bias = affine(seen[inner], part.take(inner))
            score[out] = seen[out] @ weight.T + bias
        both = _fitted(np.c_[score, z[train]], part)
        together[test] = both(np.c_[predictions[test], z[test]])
    figures = {
        name: evidence.figure(cohort, values[None], fold[None])
        for name, values in (("head", predictions), ("alone", alone), ("together", together))
    }
    gain, low, high = evidence.difference(cohort, together[None], alone[None], fold[None])
    _, least, most = evidence.difference(cohort, predictions[None], alone[None], fold[None])
    falls = cohort.task.kind == "regression"
    found = {"names": covariates.names, **figures, "gain": gain, "gain_interval": [low, high]}
    found["adds"] = high < 0.0 if falls else low > 0.0
    found["better_alone"] = most < 0.0 if falls else least > 0.0
    return {**found, "said": _said(found, cohort.task)}, np.stack([alone, together])


def _fitted(z: Array, cohort: Cohort[Task]) -> Callable[[Array], Array]:
    regression = cohort.task.kind == "regression"
    model = LinearRegression() if regression else LogisticRegression(max_iter=1000)
    made = make_pipeline(StandardScaler(), model).fit(z, cohort.labels)
    return made.predict if regression else made.decision_function  # type: ignore[no-any-return]


def into(rows: Sequence[Record], covariates: Covariates, found: Array, task: Task) -> None:
    """Add the covariates and what they predict to the out-of-fold table's rows, in place."""
    names = task.classes or ()
    shown: Sequence[Any] = found.tolist()
    if task.kind == "binary":
        shown = (0.5 * (1.0 + np.tanh(0.5 * found))).tolist()
    elif task.kind == "multiclass":
        shown = [[names[c] for c in one.argmax(axis=1)] for one in found]
    for i, (row, cells) in enumerate(zip(rows, covariates.cells, strict=True)):
        row["predicted_by_covariates"] = shown[0][i]
        row["predicted_with_covariates"] = shown[1][i]
        row |= {f"covariate_{name}": cell for name, cell in cells.items()}


def _said(told: dict[str, Any], task: Task) -> str:
    """What the comparison says, for the table and the card."""
    metric = {"regression": "MAE", "binary": "AUC", "multiclass": "macro AUC"}[task.kind]
    names, (low, high) = " and ".join(told["names"]), told["gain_interval"]
    if told["adds"]:
        what = "the scan adds to them"
    elif told["better_alone"]:
        what = "together no better is shown, though the head by itself is better than they are"
    else:
        what = f"nothing is shown that {names} would not say without a scan"
    return (
        f"In one cross-validation, {names} alone: {metric} {told['alone']:.3f}; the head "
        f"{told['head']:.3f}; together "
        f"{told['together']:.3f}, {told['gain']:+.3f} ({low:+.3f} to {high:+.3f}): {what}."
    )
