"""Heads that belong to nobody, for the encoder to learn from: so the figures are of people unseen.

What has shown its weights a person's scan can tell that person's better than a new one's, labels or
none; then no figure of these people holds for others, and no interval's coverage. Synthetic heads
(`training.synth`) differ from each other as people do and are no one's.
"""

from __future__ import annotations

from pathlib import Path

from fmtool.bundle import Bundle
from runtime.store.entry import StoredScan
from training import cohort as cohorts
from training.store.prepare import prepare
from training.synth import cohort as synthetic

COUNT = 64


def heads(cache: Path, seed: int, bundle: Bundle | None = None) -> list[StoredScan]:
    """`COUNT` of them on the model's grid, made once.

    Args:
        cache: a folder.
        seed: of their anatomy and their acquisition.
        bundle: whose preparation to use; the demonstration bundle if absent.
    """
    folder = cache / f"synthetic-{COUNT}-{seed}"
    table = folder / synthetic.TABLE
    if not table.exists():
        synthetic.write(folder, COUNT, seed, prepared=True)
    return prepare(cohorts.read(table, None), cache / "volumes", bundle)
