"""A scan and what was prepared of it as an entry of the store, and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from fmtool.bundle import Bundle
from runtime.preprocess import Skull, strip
from runtime.preprocess.pipeline import Prepared
from runtime.scan import PREPARED, Scan, Source, called
from runtime.store import Store, code_digest
from runtime.store.entry import MadeScan, StoredScan

_NONE = np.empty((0, 0, 0), dtype=np.float32)


def made_by(
    bundle: Bundle, skull: Skull = "auto", assume_ras: bool = False, series: str | None = None
) -> list[str]:
    """All that decides what is prepared of a scan, but its bytes; nothing of the bundle's heads."""
    reading = f"{skull} {assume_ras} {series}"
    return [code_digest.installed(), bundle.preparation, strip.library(), reading]


def stored(
    store: Store, source: Source, made: list[str], run: Callable[[], tuple[Scan, Prepared]]
) -> StoredScan:
    """The scan's entry in the store; `run` reads and prepares it where there is none."""

    def make() -> MadeScan:
        head, prepared = run()
        facts = {
            **prepared.facts,
            "scan": head.facts,
            "transform": prepared.transform.tolist(),
            "affine": prepared.affine.tolist(),
            "itk": None if head.itk is None else head.itk.tolist(),
        }
        return MadeScan(prepared.volume, prepared.mask, facts)

    return store.get(source, made, make)


def recalled(entry: StoredScan, source: Source) -> tuple[Scan, Prepared]:
    """What `run` gave, to the bit, but for what is in the scan's own space, which stays empty."""
    facts, path = dict(entry.facts), Path(called(source))
    told, transform, affine, itk = (facts.pop(k) for k in ("scan", "transform", "affine", "itk"))
    for name in ("digest", "source_sha256"):
        del facts[name]
    if told.get("prepared") and path.is_dir():
        path /= PREPARED
    place = np.array(affine)
    itk = None if itk is None else np.array(itk)
    volume, mask = np.array(entry.volume), np.array(entry.mask)
    return (
        Scan(_NONE, place, path, None, told, itk=itk),
        Prepared(volume, mask, np.array(transform), _NONE, _NONE.astype(bool), place, facts),
    )
