"""Cross-validation folds that never part the scans of one subject."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import InputError
from fmtool.task import Task
from training.cohort import Cohort

Split = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Row indices to train on and to test on."""


def fold_of(plan: Sequence[Split], count: int) -> NDArray[np.intp]:
    """(N,): the number of the split that tests each of `count` rows; -1 where none does."""
    fold = np.full(count, -1, dtype=np.intp)
    for k, (_, test) in enumerate(plan):
        fold[test] = k
    return fold


def own(views: Sequence[NDArray[np.float64]], fold: NDArray[np.intp]) -> NDArray[np.float64]:
    """(N, F): each row as the split that tests it sees it.

    Args:
        views: (N, F) embeddings, as each split sees them.
        fold: (N,) by `fold_of`.
    """
    found = np.empty_like(views[0])
    for k in np.unique(fold):
        found[fold == k] = views[k][fold == k]
    return found


def by_subject(cohort: Cohort[Task], folds: int, seed: int) -> list[Split]:
    """Shuffled folds; those of a task of classes keep the classes' proportions.

    Args:
        cohort: of N rows; no subject is in two folds.
        folds: their number.
        seed: of the shuffling.

    Raises:
        InputError: if there are fewer than two subjects per fold, or fewer than one subject of
            each class per fold.
    """
    names = np.asarray(cohort.subjects)
    unique = np.unique(names)
    if len(unique) < 2 * folds:
        raise InputError(
            f"{len(unique)} subjects are too few for {folds} folds; {2 * folds} are needed"
        )
    if cohort.task.classes is not None:
        return _stratified(cohort, names, folds, seed)
    order = np.random.default_rng(seed).permutation(unique)
    tested = [np.isin(names, part) for part in np.array_split(order, folds)]
    return [(np.flatnonzero(~test), np.flatnonzero(test)) for test in tested]


def _stratified(
    cohort: Cohort[Task], names: NDArray[np.str_], folds: int, seed: int
) -> list[Split]:
    task, labels = cohort.task, cohort.labels
    assert task.classes is not None
    for value, name in enumerate(task.classes):
        count = len(np.unique(names[labels == value]))
        if count < folds:
            raise InputError(
                f"{count} subjects of class {name} are too few for {folds} folds of {task.name}"
            )
    # Imported here: evidence is read where there is no scikit-learn.
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return list(splitter.split(names, labels.astype(int), names))
