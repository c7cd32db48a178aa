"""Make the demonstration bundle from IXI's Hammersmith heads, top to bottom.

The heads and two copies of each, at 1 mm and turned (`benchmarks.demo.heads`), are prepared; two
encoders start from the same seeds, and one of them is pretrained on the unlabelled heads
(`benchmarks.demo.local`), watched for collapse. Linear heads for age and sex read coarse grids of
their features; which encoder and grid, the training people of each fold choose
(`benchmarks.demo.choose`), and so once more all people, whose choice is packed. The figures in the
bundle are those of the whole procedure. No scan leaves the machine.

    python -m benchmarks.demo HEADS [--epochs 8] [--seed 42] [--cache DIR] [--out DEMO.fmtool]
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
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.demo import choose, pretrain
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
from training.evidence import smoothed_scan, splits
from training.evidence.head import Head
from training.evidence.ranges import ranges
from training.store.embed import embeddings
from training.store.prepare import prepare
from training.store.smoothed import gram

GRIDS = (((8, 10, 10), True), ((5, 6, 6), True), ((8, 10, 10), False))
"""Cells along (z, y, x), and whether local histograms stand beside the network's channels."""

STAGE = 1
"""Whose map they divide: a random network's first layers tell most."""

FOLDS, REPEATS = 5, 5


def preprocessing_parts(folder: Path) -> Parts:
    """The skull-stripping networks, the template and the licences of all that is enclosed."""
    return {
        **strip.export_strip(folder),
        "template.nii.gz": template.template_bytes(),
        "LICENSES/mni152.txt": template.licence().encode(),
    }


def candidates(
    cohort: Cohort[Task], entries: Sequence[StoredScan], epochs: int, seed: int, cache: Path
) -> list[Contender]:
    """Random and pretrained encoders, each with each grid."""
    shown, found = exposure(cohort, entries, labels=False), []
    count = len(set(cohort.subjects))
    random = pretrain.normed(pretrain.fresh(seed), entries[: 2 * count])  # of both resolutions
    trained = pretrain.fresh(seed).eval()
    # Without the copies: another rendition of a head is not another head.
    heads = entries[:count]
    first = pretrain.pretrained(heads, STAGE, epochs, seed, cache)
    trained.load_state_dict(first.state_dict(), strict=False)  # what follows is cut off
    known = f"SimCLR within places, {epochs} epochs on the same scans"
    for whole, how, seen in ((random, "random weights", Exposure()), (trained, known, shown)):
        for cells, histogram in GRIDS:
            encoder = encoders.gridded(whole, STAGE, cells, histogram)
            x = embeddings(encoder, entries, cache / "embeddings").astype(np.float64)
            name = f"{how}, stage {STAGE}, {'x'.join(map(str, cells))} cells"
            name += " beside local histograms" if histogram else ""
            found.append(Contender(name, encoder, x, seen, math.prod(cells)))
    return found


def head(
    found: Sequence[Contender],
    chosen: Contender,
    cohorts: Sequence[Cohort[Task]],
    judged: int,
    entries: Sequence[StoredScan],
    products: NDArray[np.float64] | None,
    seed: int,
) -> Head:
    """The chosen encoder's head of a task, with the figures of choosing and fitting it."""
    cohort, volumes = cohorts[judged], np.array([brain_ml(entry) for entry in entries])
    fitted = probe.fit(
        chosen.x,
        cohort,
        seed,
        FOLDS,
        REPEATS,
        encoders.digest(chosen.encoder),
        volumes.tolist(),
        overlap(chosen.seen, cohort, entries),
        chosen.cells,
        products,
    )
    predictions, fold, picked = choose.nested(found, cohorts, judged, seed, FOLDS, REPEATS)
    plans = [splits.by_subject(cohort, FOLDS, seed + r) for r in range(REPEATS)]
    alone = np.stack([choose.out_of_fold(volumes[:, None], cohort, plan) for plan in plans])
    smooth = smoothed_scan.out_of_fold(products, cohort, plans)
    plain = fitted.head.evidence["value"]
    fitted.head.evidence |= evidence.against_constant(cohort, predictions, fitted.baseline, fold)
    for name, rival in (("brain_volume", alone), ("smoothed_scan", smooth)):
        fitted.head.evidence[name] = evidence.against_rival(cohort, predictions, rival, fold)
    print(f"{cohort.task.name}: {fitted.head.evidence['value']:.3f} nested, {plain:.3f} had the")
    print(f"encoder been given; chosen in {dict(picked)}")
    print(json.dumps(fitted.head.evidence, indent=1))
    fitted.head.exposure = chosen.seen | exposure(cohort, entries, labels=True)
    return fitted.head


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
        found = candidates(cohorts[0], entries, epochs, seed, cache)
        clock("pretrained and embedded")
        chosen = found[choose.best(found, cohorts, np.arange(len(entries)))]
        told = (entries, gram(entries), seed)
        fitted = [head(found, chosen, cohorts, k, *told) for k in range(len(cohorts))]
        clock(f"chosen ({chosen.name}) and fitted")
        notes = BundleNotes(
            name="demo",
            source=f"{chosen.name}; chosen among {len(found)} in each fold anew. {CREDIT}",
            limits=limits(len(set(cohorts[0].subjects)), fitted),
            calibration=ranges([entry.facts for entry in entries]),
            demonstration=True,
            seen=chosen.seen,
        )
        parts = {**parts, WEIGHTS_LICENCE: LICENCE.encode()}
        fp16 = Wanted(fp16=True)
        bundle = assemble(out, chosen.encoder, fitted, parts, notes, fp16, overwrite=True)
        clock("packed")
        return bundle


def main() -> None:
    """Parse, make, print."""
    args = script.options(
        __doc__,
        "heads",
        epochs=8,
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
