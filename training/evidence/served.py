"""A head on harmonised embeddings as a bundle serves it, which knows embeddings as they are.

With a site's scale a and shift c per feature, w . (a x + c) + b is (a w) . x + (b + w . c): folded
into weight and bias, the site's harmonisation costs nothing, and a map of the head, whose mean is
its output, is one of embeddings as they are. The heads behind intervals and prediction sets are
folded with the maps of their own folds, so that their scores stay what they were.

A scan of no known site goes unharmonised through the head, which its cross-validation tells nothing
of: what stays is the figure of sites left out, without interval or calibration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fmtool.errors import InputError, UsageError
from runtime.trust import Trust
from training.evidence.conformal import Array, stored
from training.evidence.head import Head
from training.harmonise.maps import Harmonised, SiteMaps

_KEPT = (
    "n",
    "n_subjects",
    "label_range",
    "label_quartiles",
    "sites",
    "sample",
    "exposure",
    "leave_one_site_out",
)
_FIGURE = (
    "metric",
    "unit",
    "value",
    "interval",
    "baseline",
    "baseline_name",
    "difference_interval",
    "beats_baseline",
)


def served(heads: Sequence[Head], site: str | None) -> list[Head]:
    """The heads as a bundle has them; one that is not harmonised stays as it is.

    Args:
        heads: as they were fitted.
        site: whose scans are to be answered; None for any, as they come.

    Raises:
        UsageError: for a site where no head is harmonised.
        InputError: for a site that a head does not know.
    """
    if site is not None and all(head.harmonised is None for head in heads):
        raise UsageError(
            f"no head is harmonised, so none can be made for site {site}: leave --site out, or fit "
            "one with `fmtool train probe --harmonise combat`"
        )
    return [_served(head, head.harmonised, site) for head in heads]


def _served(head: Head, known: Harmonised | None, site: str | None) -> Head:
    if known is None:
        return head
    told = {**head.evidence["harmonised"], "site": site}
    if site is None:
        return replace(head, evidence=_of_any(head.evidence, told), trust=None, harmonised=None)
    if site not in known.whole.affine:
        raise InputError(
            f"the head of {head.task.name} does not know site {site}: it is harmonised over "
            f"{', '.join(known.whole.affine)}; name one of them, or leave --site out"
        )
    weight, bias = known.whole.folded(head.weight, head.bias, site)
    return replace(
        head,
        weight=weight,
        bias=bias if np.ndim(bias) else float(bias),
        evidence={**head.evidence, "harmonised": told},
        trust=_folded(head.trust, known.folds, site) if head.trust else None,
        harmonised=None,
    )


def _of_any(evidence: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """The evidence of a head that harmonises nothing: that of sites left out."""
    kept = {key: evidence[key] for key in _KEPT if key in evidence}
    kept |= {"harmonised": told, "smoothed_scan": None}
    pooled = (evidence.get("leave_one_site_out") or {}).get("pooled")
    if pooled:
        kept |= {key: pooled[key] for key in _FIGURE} | {"how": "leave-one-site-out"}
    return kept


def _folded(trust: Trust, maps: Sequence[SiteMaps], site: str) -> Trust:
    weight, bias = _each(maps, trust.folds.weight, trust.folds.bias, site)
    folds, hard = replace(trust.folds, weight=weight, bias=bias), trust.difficulty
    if hard is not None:
        weight, bias = _each(maps, hard.weight, hard.bias, site)
        hard = replace(hard, weight=weight, bias=bias)
    return replace(trust, folds=folds, difficulty=hard)


def _each(
    maps: Sequence[SiteMaps], weights: Array, biases: Array, site: str
) -> tuple[Array, Array]:
    folded = [m.folded(w, b, site) for m, w, b in zip(maps, weights, biases, strict=True)]
    return stored(np.array([w for w, _ in folded])), np.array([b for _, b in folded])
