"""A cohort through a bundle's own preprocessing, checks and engine: embeddings, computed once.

They are kept by the scan's content, by what made them (the bundle's encoder, skull-stripping
networks and template, and the code that prepares), so that the next task of the same scans, or the
same task of a child bundle, takes seconds. Heads are no part of that.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmtool import plain_json
from fmtool.bundle import Bundle
from fmtool.errors import InputError
from fmtool.progress import scans
from fmtool.task import Task
from runtime import scan as scan_files
from runtime.engines.choose import Wish
from runtime.ledger.content import content_digest
from runtime.predict import Predictor
from runtime.store import Store
from runtime.store.scan import made_by
from runtime.system import atomic
from training.cohort import Cohort
from training.cohort.exposure import DescribedScan
from training.cohort.row import Row
from training.evidence import smoothed_scan, soft_tissue

Say = Callable[[str], None]


@dataclass(frozen=True)
class SiteAnswers:
    """What a bundle found in the scans of a cohort.

    Attributes:
        cohort: the scans that it answered.
        embeddings: float64 (N, F); of several encoders, one after the other.
        brain_ml: (N,) brain volume.
        facts: of each scan, what the checks measured, by key; nothing of a batch's results.
        checks: of each scan, the checks' values by name.
        contents: the SHA-256 of each scan's file; None where it is not known.
        gram: (N, N) inner products of the scans' smoothed maps; None of a batch's results.
    """

    cohort: Cohort[Task]
    embeddings: NDArray[np.float64]
    brain_ml: NDArray[np.float64]
    facts: list[dict[str, Any]]
    checks: list[dict[str, float]]
    contents: list[str | None]
    gram: NDArray[np.float64] | None = None

    @property
    def scans(self) -> list[DescribedScan]:
        """What is known of each scan's content."""
        return [_SiteScan({"source_sha256": content}) for content in self.contents]

    def reading(self, columns: slice) -> SiteAnswers:
        """The same with some of the features: those of one encoder."""
        return replace(self, embeddings=self.embeddings[:, columns])

    def take(self, indices: Sequence[int]) -> SiteAnswers:
        """Some of the scans, in the order of `indices`."""
        rows = list(indices)
        facts, checks = (
            [part[i] for i in rows] if part else [] for part in (self.facts, self.checks)
        )
        contents = [self.contents[i] for i in rows]
        embeddings, volumes = self.embeddings[rows], self.brain_ml[rows]
        gram = None if self.gram is None else self.gram[np.ix_(rows, rows)]
        cohort = self.cohort.take(rows)
        return SiteAnswers(cohort, embeddings, volumes, facts, checks, contents, gram)


@dataclass(frozen=True)
class _SiteScan:
    facts: dict[str, Any]


def answered(
    cohort: Cohort[Task],
    bundle: Bundle,
    cache: Path,
    wish: Wish = Wish(),
    say: Say = lambda sentence: None,
) -> SiteAnswers:
    """The bundle's embeddings of a cohort, float32 whatever the machine could do faster.

    A scan that a check refuses is left out, and said: it would not be answered at the site either.

    Args:
        cohort: raw, stripped or prepared scans.
        bundle: whose preprocessing, checks and encoder to use.
        cache: a folder; what it holds of these scans is not computed again.
        wish: the engine and the device.
        say: told what is left out, and why.

    Raises:
        InputError: if no scan can be used, or the cache cannot be written.
        CapabilityError: if the engine asked for cannot run here.
    """
    folder = cache / "answers" / _made_by(bundle)
    kept, found = [], []
    with (
        _opened(bundle, wish, cache) as answer,
        scans(len(cohort.rows), "Answering", say) as advance,
    ):
        for number, row in enumerate(cohort.rows):
            try:
                found.append(_one(row, folder, answer))
                kept.append(number)
            except InputError as error:
                say(f"Left out, line {row.line} of {cohort.path}: {error}")
            advance()
    if not kept:
        raise InputError(f"{cohort.path} lists no scan that the bundle's checks let pass")
    return SiteAnswers(
        cohort.take(kept),
        np.array([one["embedding"] for one in found], dtype=np.float64),
        np.array([one["facts"]["brain_volume_ml"] for one in found], dtype=np.float64),
        [one["facts"] for one in found],
        [one["checks"] for one in found],
        [one["content"] for one in found],
        None
        if len(found) > smoothed_scan.MOST
        else soft_tissue.inner_products([one["smoothed"] for one in found]),
    )


@contextmanager
def _opened(bundle: Bundle, wish: Wish, cache: Path) -> Iterator[Callable[[Row], dict[str, Any]]]:
    """Answers a row; the networks are loaded when the first scan needs them."""
    store = Store(cache / "volumes")
    predictor = Predictor(bundle, wish=replace(wish, precision="float32"), store=store)
    entered = False

    def answer(row: Row) -> dict[str, Any]:
        nonlocal entered
        if not entered:
            predictor.__enter__()
            entered = True
        pair = None if row.mask is None else scan_files.read_prepared(row.image, row.mask)
        result = predictor.predict(row.image if pair is None else pair)
        checks = {c.name: float(c.value) for c in result.quality if math.isfinite(c.value)}
        facts = {k: v for k, v in result.prepared.facts.items() if isinstance(v, float | int)}
        embedding = result.embedding.astype(float).tolist()
        return {
            "embedding": embedding,
            "facts": {k: float(v) for k, v in facts.items()},
            "checks": checks,
            "smoothed": soft_tissue.smoothed(result.prepared.volume, result.prepared.mask),
        }

    try:
        yield answer
    finally:
        predictor.__exit__()


def _one(row: Row, folder: Path, answer: Callable[[Row], dict[str, Any]]) -> dict[str, Any]:
    try:
        files = [row.image, row.mask] if row.mask else row.image
        content = content_digest(files)
    except OSError as error:
        raise InputError(f"{row.image} cannot be read ({error.strerror}); check it") from None
    target, maps = folder / f"{content}.json", folder / f"{content}.{soft_tissue.made_by()}.npy"
    if target.exists() and maps.exists():
        try:
            known = plain_json.loads(target.read_bytes())
            kept = {name: known[name] for name in ("embedding", "facts", "checks")}
            smoothed = np.load(maps, mmap_mode="r", allow_pickle=False)
            return {**kept, "content": content, "smoothed": smoothed}
        except (OSError, ValueError, EOFError, KeyError, TypeError):
            pass  # damaged: it is computed again
    found = answer(row)
    folder.mkdir(parents=True, exist_ok=True)
    stored = io.BytesIO()
    np.save(stored, found["smoothed"])
    atomic.write_bytes(maps, stored.getvalue())
    plain = {name: value for name, value in found.items() if name != "smoothed"}
    atomic.write_bytes(target, json.dumps(plain, allow_nan=False).encode())
    return {**found, "content": content}


def _made_by(bundle: Bundle) -> str:
    """A digest of all that decides an embedding but the scan."""
    manifest = bundle.manifest
    encoders = [encoder.sha256 for encoder in manifest.encoders]
    if not all(encoders):
        encoders = [manifest.files[manifest.model["float32"]].sha256]
    facts = [*encoders, *made_by(bundle)]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]
