"""What `benchmarks.sites.embed` has kept, as the site's verbs take it, and a head on one site."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fmtool.bundle import Bundle
from fmtool.task import AGE
from runtime import trust
from runtime.engines.heads import affine
from runtime.quality import KINDS
from training import probe
from training.cohort import Cohort
from training.cohort.row import Row
from training.evidence.head import Head
from training.probe import FittedProbe
from training.site.answers import SiteAnswers


def lines(folder: Path, site: str) -> list[dict[str, Any]]:
    """The scans of a site that were answered, in the table's order."""
    text = (folder / f"{site}.jsonl").read_text(encoding="utf-8")
    return [one for one in map(json.loads, text.splitlines()) if "error" not in one]


def load(folder: Path, site: str) -> SiteAnswers:
    """A site's answers, with ages."""
    found = lines(folder, site)
    rows = [
        Row(one["scan"], Path(one["scan"]), None, float(one["age"]), None, i)
        for i, one in enumerate(found)
    ]
    checks = [{c["name"]: c["value"] for c in one["quality"]} for one in found]
    facts = [{k.key: each.get(k.name) for k in KINDS} for each in checks]
    return SiteAnswers(
        Cohort(folder / site, AGE, rows),
        np.array([one["embedding"] for one in found]),
        np.array([one["facts"]["brain_volume_ml"] for one in found]),
        facts,
        [{name: v for name, v in each.items() if v is not None} for each in checks],
        [None] * len(rows),
    )


def fitted(answers: SiteAnswers, cells: int) -> FittedProbe:
    """The head of age that a site's heads give, with its trust; `cells` of the encoder's grid."""
    volumes = list(answers.brain_ml)
    return probe.fit(answers.embeddings, answers.cohort, brain_volume_ml=volumes, cells=cells)


def shipped(bundle: Bundle) -> Head:
    """The bundle's own head of age."""
    weight, bias = affine(bundle, ["age"])["age"]
    return Head(
        AGE, weight, bias, dict(bundle.evidence("age")), "", trust=trust.read(bundle)["age"]
    )
