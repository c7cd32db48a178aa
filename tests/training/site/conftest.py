"""A made site: embeddings near the demonstration's own, whose truth its head follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fmtool import bundle, task
from runtime.engines.heads import affine
from training.cohort import Cohort
from training.cohort.row import Row
from training.site.answers import SiteAnswers


@pytest.fixture(scope="session")
def demo():
    with bundle.open() as opened:
        yield opened


@pytest.fixture(scope="session")
def site(demo):
    """`site(20, offset=-8.0)`: labelled answers; `scans` of each subject."""
    heads = affine(demo, ["age", "sex"])
    at = np.array(demo.manifest.self_test.outputs["embedding"])

    def make(count, which=task.AGE, offset=0.0, noise=4.0, scans=1, seed=0):
        rng = np.random.default_rng(seed)
        weight, bias = heads[which.name]
        along = weight / (weight @ weight)  # moves the value by one
        truth = rng.uniform(-15.0, 15.0, count) if which is task.AGE else rng.normal(0, 2.0, count)
        who = np.repeat(np.arange(count), scans)
        around = 0.1 / np.linalg.norm(weight)  # moves the value by a tenth
        x = at + rng.normal(0.0, around, (len(who), len(at))) + truth[who, None] * along
        centre = weight @ at + bias
        if which is task.AGE:
            label = (centre + truth + offset + rng.normal(0.0, noise, count))[who]
        else:
            label = (truth + centre + offset + rng.logistic(0.0, 1.0, count) > 0)[who].astype(float)
        rows = [
            Row(f"sub-{s}", Path(f"/scans/sub-{s}_{i}.nii.gz"), None, y, None, i + 2)
            for i, (s, y) in enumerate(zip(who, label, strict=True))
        ]
        volumes = rng.normal(1400.0, 100.0, len(rows))
        return SiteAnswers(
            Cohort(Path("made.csv"), which, rows), x, volumes, [], [], [None] * len(rows)
        )

    return make
