"""Embeddings with a planted effect of the label and of the site."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fmtool.task import AGE
from training.cohort import Cohort, Row

FEATURES = 20


def cohort(labels, sites, task=AGE):
    rows = [
        Row(f"p{i}", Path(f"{i}.nii"), None, float(y), site, i + 2)
        for i, (y, site) in enumerate(zip(labels, sites, strict=True))
    ]
    return Cohort(Path("t.csv"), task, rows)


def planted(seed=0, sites=4, each=20, shift=2.0, older=0.0, task=AGE):
    """(N, F) embeddings, their cohort, and the (F,) effect of one standardised label.

    Args:
        shift: how far a site moves the features, in their own deviations.
        older: by how many standardised labels a site lies above the one before.
    """
    rng = np.random.default_rng(seed)
    which = np.repeat(np.arange(sites), each)
    level = rng.normal(size=len(which)) + older * (which - (sites - 1) / 2)
    labels = 50 + 10 * level if task is AGE else (level > 0).astype(float)
    effect = 0.6 * rng.normal(size=FEATURES)
    label = level if task is AGE else 2 * labels - 1
    x = 5 + label[:, None] * effect + shift * rng.normal(size=(sites, FEATURES))[which]
    stretched = np.exp(0.3 * rng.normal(size=sites))[which]
    x += stretched[:, None] * rng.normal(size=x.shape)
    return x, cohort(labels, [f"S{k}" for k in which], task), effect
