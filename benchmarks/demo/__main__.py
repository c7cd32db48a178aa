"""Make the demonstration bundle from IXI's Hammersmith heads, top to bottom.

The heads and two copies of each, at 1 mm and turned (`benchmarks.demo.heads`), are prepared. Two
networks start from the same seed, and one of them is pretrained (`benchmarks.demo.local`) on heads
that belong to nobody (`benchmarks.demo.synthetic`), watched for collapse. Cut after their first
stage they stand side by side in one encoder, beside local histograms, and their channels keep place
in a coarse grid. A linear head of age and one of sex read some of them: which, the training people
of each fold choose (`benchmarks.demo.choose`), and so once more all people for what is packed. The
figures in the bundle are those of the whole procedure. No scan leaves the machine.

    python -m benchmarks.demo HEADS [--epochs 24] [--seed 42] [--cache DIR] [--out DEMO.fmtool]
        [--prepared-by B.fmtool]

It says how long each step took. What is in the cache is not made again.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from benchmarks.demo import choose, pretrain, synthetic
from benchmarks.demo.choose import Contender
from benchmarks.demo.heads import CREDIT, LICENCE, read
from benchmarks.shared import script
from export.models import Wanted
from export.pack import Parts, assemble, parts_of
from export.parts import strip, template
from export.parts.card import WEIGHTS_LICENCE
from export.parts.manifest import BundleNotes
from fmtool import bundle as bundles
from fmtool.bundle import DEMO, Bundle
from fmtool.bundle.exposure import Exposure
from fmtool.task import Task
from runtime.store.entry import StoredScan
from training import encoders, evidence, probe
from training.cohort import Cohort
from training.cohort.exposure import exposure, overlap
from training.cohort.prepared import brain_ml
from training.encoders.histogram import LEVELS
from training.evidence import novelty, smoothed_scan, splits
from training.evidence.head import Head
from training.evidence.ranges import ranges
from training.store.embed import embeddings
from training.store.prepare import prepare
from training.store.smoothed import gram

CELLS = (8, 10, 10)
"""Along (z, y, x): 19 mm."""

STAGE = 1
"""Whose map they divide: the first layers tell most."""

FOLDS, REPEATS = 5, 5

NOBODY = Exposure()
"""Who set the encoder's weights."""


def preprocessing_parts(folder: Path) -> Parts:
    """The skull-stripping networks, the template and the licences of all that is enclosed."""
    return {
        **strip.export_strip(folder),
        "template.nii.gz": template.template_bytes(),
        "LICENSES/mni152.txt": template.licence().encode(),
    }


def encoder_of(nobody: Sequence[StoredScan], epochs: int, seed: int, cache: Path) -> nn.Module:
    """A random and a pretrained network side by side, and local histograms, in a grid.

    Args:
        nobody: synthetic heads, which alone set its weights.
    """
    random = pretrain.normed(pretrain.fresh(seed), nobody)
    trained = pretrain.fresh(seed).eval()
    first = pretrain.pretrained(nobody, STAGE, epochs, seed, cache)
    trained.load_state_dict(first.state_dict(), strict=False)  # what follows is cut off
    both = pretrain.side_by_side(random, trained)
    return encoders.gridded(both, STAGE, CELLS, histogram=True)


def contenders(channels: int) -> list[Contender]:
    """Which of an encoder's channels a head may read."""
    of_each = (channels - len(LEVELS)) // 2
    kinds = np.repeat((0, 1, 2), (of_each, of_each, len(LEVELS)))
    names = ("random weights", "SimCLR within places", "local histograms")
    reads = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
    return [
        Contender(
            " and ".join(names[k] for k in read),
            np.isin(kinds, read).repeat(math.prod(CELLS)),
        )
        for read in reads
    ]


def head(
    x: NDArray[np.float64],
    found: Sequence[Contender],
    cohort: Cohort[Task],
    entries: Sequence[StoredScan],
    products: NDArray[np.float64] | None,
    seed: int,
    encoder: tuple[str, Exposure],
) -> Head:
    """A task's head, with the figures of choosing its channels and fitting it.

    Args:
        x: (N, F), the embeddings.
        encoder: its digest, and whose images set its weights.
    """
    volumes, cells = np.array([brain_ml(entry) for entry in entries]), math.prod(CELLS)
    chosen = choose.best(found, x, cells, cohort, np.arange(len(x)))
    fitted = probe.fit(
        x[:, chosen.kept],
        cohort,
        seed,
        FOLDS,
        REPEATS,
        encoder[0],
        volumes.tolist(),
        overlap(encoder[1], cohort, entries),
        cells,
        products,
    )
    predictions, fold, picked = choose.nested(found, x, cells, cohort, seed, FOLDS, REPEATS)
    plans = [splits.by_subject(cohort, FOLDS, seed + r) for r in range(REPEATS)]
    alone = np.stack([choose.out_of_fold(volumes[:, None], cohort, plan) for plan in plans])
    smooth = smoothed_scan.out_of_fold(products, cohort, plans)
    made, plain = fitted.head, fitted.head.evidence["value"]
    made.evidence |= evidence.against_constant(cohort, predictions, fitted.baseline, fold)
    for name, rival in (("brain_volume", alone), ("smoothed_scan", smooth)):
        made.evidence[name] = evidence.against_rival(cohort, predictions, rival, fold)
    print(f"{cohort.task.name}: {made.evidence['value']:.3f} nested, {plain:.3f} had")
    print(f"{chosen.name} been given; chosen in {dict(picked)}")
    whole = np.split(predictions, 3, axis=1)
    moved = [float(np.median(np.abs(one - whole[0]))) for one in whole[1:]]
    print(f"the same head at 1 mm moves by {moved[0]:.3f}, turned by {moved[1]:.3f} (median)")
    print(json.dumps(made.evidence, indent=1))
    exposed = encoder[1] | exposure(cohort, entries, labels=True)
    return widened(replace(made, exposure=exposed), chosen.kept, x, cohort, seed)


def widened(
    made: Head, kept: NDArray[np.bool_], x: NDArray[np.float64], cohort: Cohort[Task], seed: int
) -> Head:
    """A head of some features as one of all (N, F), whose other weights are zero."""

    def wide(weight: NDArray[np.float64]) -> NDArray[np.float64]:
        found = np.zeros((*weight.shape[:-1], len(kept)))
        found[..., kept] = weight
        return found

    known = made.trust
    assert known is not None
    hard = known.difficulty
    trust = replace(
        known,
        folds=replace(known.folds, weight=wide(known.folds.weight)),
        difficulty=None if hard is None else replace(hard, weight=wide(hard.weight)),
        novelty=novelty.fit(x, cohort.subjects, seed, math.prod(CELLS)),
    )
    return replace(made, weight=wide(made.weight), trust=trust)


def limits(subjects: int, heads: Sequence[Head]) -> list[str]:
    """What the sample was, in sentences that every result carries."""
    low, high = heads[0].evidence["label_range"]
    return [
        f"Demonstration: fitted on {subjects} adult heads of one scanner (IXI, Hammersmith, "
        f"Philips 3T), ages {low:g} to {high:g}.",
        "Another scanner, age or sequence is outside what it has seen.",
    ]


class Clock:
    """Says how long each step took."""

    def __init__(self) -> None:
        self._began = self._last = time.perf_counter()

    def __call__(self, what: str) -> None:
        """After a step."""
        now = time.perf_counter()
        print(f"{what}: {now - self._last:.0f} s, {now - self._began:.0f} s in all", flush=True)
        self._last = now


def make(
    folder: Path, epochs: int, seed: int, cache: Path, out: Path, prepared_by: Path | None
) -> Bundle:
    """Prepare, pretrain, choose, judge, and write the bundle."""
    clock = Clock()
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory())
        if prepared_by is None:
            parts = preprocessing_parts(Path(scratch))
            bare, notes = cache / "preprocessing.fmtool", BundleNotes("preprocessing")
            opened = assemble(bare, pretrain.fresh(seed).eval(), [], parts, notes, overwrite=True)
        else:
            opened = stack.enter_context(bundles.open(prepared_by))
            parts = parts_of(opened)
        cohorts = read(folder, cache)
        entries = prepare(cohorts[0], cache / "volumes", opened)
        clock(f"{len(entries)} heads prepared")
        encoder = encoder_of(synthetic.heads(cache, seed, opened), epochs, seed, cache)
        x = embeddings(encoder, entries, cache / "embeddings").astype(np.float64)
        clock("pretrained and embedded")
        found = contenders(encoders.feature_count(encoder) // math.prod(CELLS))
        known = encoders.digest(encoder), NOBODY
        told = (entries, gram(entries), seed, known)
        fitted = [head(x, found, cohort, *told) for cohort in cohorts]
        clock("chosen and fitted")
        how = f"random ones beside SimCLR within places, {epochs} epochs on synthetic heads"
        notes = BundleNotes(
            name="demo",
            source=f"{how}; which of them a head reads was chosen in each fold anew. {CREDIT}",
            limits=limits(len(set(cohorts[0].subjects)), fitted),
            calibration=ranges([entry.facts for entry in entries]),
            demonstration=True,
            seen=NOBODY,
        )
        parts = {**parts, WEIGHTS_LICENCE: LICENCE.encode()}
        fp16 = Wanted(fp16=True)
        bundle = assemble(out, encoder, fitted, parts, notes, fp16, overwrite=True)
        clock("packed")
        return bundle


def main() -> None:
    """Parse, make, print."""
    args = script.options(
        __doc__,
        "heads",
        epochs=24,
        seed=42,
        cache=Path(".cache/demo"),
        out=DEMO,
        prepared_by=(Path, "a bundle whose skull strip and template to take"),
    )
    bundle = make(args.heads, args.epochs, args.seed, args.cache, args.out, args.prepared_by)
    size = sum(facts.bytes for facts in bundle.manifest.files.values())
    print(f"{bundle.path}: {size / 1e6:.2f} MB, digest {bundle.digest}")
    bundles.open(bundle.path)


if __name__ == "__main__":
    main()
