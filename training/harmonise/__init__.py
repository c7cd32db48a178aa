"""Harmonise: what sites add to embeddings and stretch is taken away, by training parts alone.

A training part's sites are estimated by ComBat (`combat`) from its own embeddings, with covariates
and the labels of its own rows kept: where one site has the older people, what age does would
otherwise be taken for the site's. Whatever is harmonised by it, training rows, test rows and scans
that are answered, goes through the same map of its site (`maps`), which needs neither. So no row's
own label or covariate reaches its harmonised embedding, and a head is judged on what it is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool.errors import InputError
from fmtool.task import Task
from training.cohort import Cohort
from training.harmonise import combat
from training.harmonise.combat import Array
from training.harmonise.maps import Harmonised, SiteMaps, Views

__all__ = ["FEWEST", "Harmonised", "Harmoniser", "SiteMaps", "Views"]

FEWEST = 3
"""Subjects of a site in any training part: fewer say nothing of how a site stretches a feature."""

_PART = "a training part of the cross-validation"


class Harmoniser:
    """Estimates the sites of any part of a cohort.

    Args:
        cohort: of N rows.
        covariates: (N, C), numbers whose effect is kept beside the label's.
        names: of the columns that these are made of.

    Attributes:
        sites: (N,) of each row.
        known: the sites' names.

    Raises:
        InputError: for rows without a site, one site, or a site with too few subjects or, of a task
            of classes, of one class alone.
    """

    def __init__(
        self, cohort: Cohort[Task], covariates: Array | None = None, names: Sequence[str] = ()
    ) -> None:
        nowhere = [row for row in cohort.rows if row.site is None]
        if nowhere:
            raise InputError(
                f"{cohort.path} gives no site for {len(nowhere)} rows, such as line "
                f"{nowhere[0].line}; harmonising needs the site of each: fill the column `site`"
            )
        self.sites = [str(row.site) for row in cohort.rows]
        self.known = sorted(set(self.sites))
        if len(self.known) < 2:
            raise InputError(
                f"all rows of {cohort.path} come from {self.known[0]}: there is nothing to "
                "harmonise; leave --harmonise out"
            )
        self._cohort, self._names = cohort, list(names)
        given = np.empty((len(cohort.rows), 0)) if covariates is None else covariates
        self._given = given.shape[1]
        self._kept = np.c_[given, _columns(cohort)]
        self._check(np.arange(len(cohort.rows)), "the table", self.known)

    def told(self) -> dict[str, Any]:
        """For a head's evidence: by which method, of which sites, keeping which covariates."""
        return {"method": "ComBat", "sites": self.known, "covariates": self._names}

    def estimated(self, x: Array, train: NDArray[np.intp]) -> SiteMaps:
        """The maps of the sites of some rows, from these rows alone; none of a single site.

        Args:
            x: (N, F) embeddings of all rows.
            train: positions of the rows to estimate on.

        Raises:
            InputError: where a site has too few of them, or cannot be told from the covariates.
        """
        if len(np.unique(np.asarray(self.sites)[train])) < 2:
            return SiteMaps({})
        found, _ = self._estimate(x, train)
        return SiteMaps({name: found.affine(name) for name in found.sites})

    def without_labels(self, x: Array, train: NDArray[np.intp], test: NDArray[np.intp]) -> Array:
        """A site's rows, harmonised as if it were new: by other people's scans of it, unlabelled.

        Its people are parted in two halves, and each half's map is estimated from the embeddings
        and covariates of the other half; the rest is known from `train`.

        Args:
            x: (N, F) embeddings of all rows.
            train: positions of rows of other sites.
            test: (n,) positions of the site's rows.

        Returns:
            (n, F).

        Raises:
            InputError: where the site's people are too few, or those of another.
        """
        who = np.asarray(self._cohort.subjects)[test]
        people = np.random.default_rng(0).permutation(np.unique(who))
        if len(people) < 2 * FEWEST:
            raise InputError(
                f"{len(people)} subjects are too few to harmonise one half by the other; "
                f"{2 * FEWEST} are needed"
            )
        found, varies = self._estimate(x, train)
        kept = self._kept[test]
        kept[:, self._given :] = self._kept[train][:, self._given :].mean(axis=0)
        harmonised, first = np.empty((len(test), x.shape[1])), np.isin(who, people[::2])
        for own, others in ((first, ~first), (~first, first)):
            name = self.sites[test[0]]
            scale, shift = found.affine_of(name, x[test[others]], kept[others][:, varies])
            harmonised[own] = scale * x[test[own]] + shift
        return harmonised

    def _estimate(
        self, x: Array, train: NDArray[np.intp]
    ) -> tuple[combat.Estimate, NDArray[np.bool_]]:
        """What ComBat finds in these rows, and which of the columns that are kept vary in them."""
        self._check(train, _PART, sorted({self.sites[i] for i in train}))
        kept = self._kept[train]
        varies = np.ptp(kept, axis=0) > 0.0
        here = [self.sites[i] for i in train]
        return combat.estimate(x[train], here, kept[:, varies]), varies

    def views(self, x: Array, parts: Sequence[NDArray[np.intp]]) -> Views:
        """All rows' embeddings as folds see them, each of which was fitted on one of `parts`.

        Raises:
            InputError: see `estimated`; and where a part lacks a site that others have.
        """
        for train in parts:
            self._check(train, _PART, self.known)
        return Views(x, self.sites, [self.estimated(x, train) for train in parts])

    def _check(self, part: NDArray[np.intp], where: str, names: Sequence[str]) -> None:
        here = np.asarray(self.sites)[part]
        labels, who = self._cohort.labels[part], np.asarray(self._cohort.subjects)[part]
        advice = "leave its scans out, or do not harmonise"
        for name in names:
            own = here == name
            people = len(np.unique(who[own]))
            if people < FEWEST:
                raise InputError(
                    f"site {name} has {people} subjects in {where}, and ComBat needs {FEWEST} to "
                    f"tell what it does; {advice}"
                )
            if self._cohort.task.classes and len(np.unique(labels[own])) < 2:
                only = self._cohort.task.classes[int(labels[own][0])]
                raise InputError(
                    f"all scans of site {name} in {where} are of class {only}: harmonising would "
                    f"take the class for the site; {advice}"
                )


def _columns(cohort: Cohort[Task]) -> Array:
    """(N, 1) labels, or of K classes (N, K - 1): one for each but the first."""
    if cohort.task.classes is None:
        return cohort.labels[:, None]
    return np.eye(len(cohort.task.classes))[cohort.labels.astype(np.intp)][:, 1:]
