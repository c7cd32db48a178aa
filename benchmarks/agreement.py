"""How far the embedding moves when fmtool's preprocessing replaces the reference chain.

The same full-size encoder (random weights) reads both volumes of every real head. The distance
is compared with the distance between two subjects, and split by stage: the reference chain with
one of its stages replaced at a time.

    python -m benchmarks.agreement [--data DIR] [--cache DIR] [--sets raw,ixi2mm] [--json FILE]
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from benchmarks import full_size
from benchmarks.shared import heads, script
from benchmarks.shared.peers import chain
from fmtool.bundle import Bundle
from runtime import scan as scans
from runtime.engines.choose import choose, open_engine
from runtime.preprocess import bias, register, resample
from runtime.preprocess.pipeline import Preprocessor

_QUANTILES = {"min": 0.0, "q1": 0.25, "median": 0.5, "q3": 0.75, "max": 1.0}

Volume = tuple[NDArray[np.float32], NDArray[np.bool_]]


def reference(path: Path, cache: Path, template: nib.Nifti1Image) -> chain.Reference:
    """The reference chain's result for one head, computed once."""
    kept = cache / f"{heads.label(path).replace('/', '_')}.npz"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        array = template.get_fdata(dtype=np.float32)
        chain.run(nib.load(path), array, template.affine).save(kept)
    return chain.Reference.load(kept)


def crop(corrected: NDArray[np.float32], mask: NDArray[np.bool_], affine, matrix) -> Volume:  # type: ignore[no-untyped-def]
    """A corrected scan and its mask on the model's crop, read trilinearly as ANTs reads it."""
    inside = resample.to_crop(mask.astype(np.float32), affine, matrix) >= 0.5
    return resample.to_crop(corrected, affine, matrix) * inside, inside


def variants(
    path: Path, ref: chain.Reference, stages: Preprocessor, by_stage: bool
) -> Iterator[tuple[str, Volume]]:
    """The head's volume by the reference chain, by fmtool, and with one stage replaced."""
    yield "reference", crop(ref.corrected, ref.mask, ref.affine, ref.matrix)
    scan = scans.read(path)
    ours = stages.run(scan)
    yield "fmtool", (ours.volume, ours.mask)
    if not by_stage:
        return
    yield "strip", crop(ref.corrected, ours.brain, ref.affine, ref.matrix)
    spacing = tuple(np.linalg.norm(scan.affine[:3, :3], axis=0))
    corrected = bias.correct(scan.array, ref.mask, spacing, "head")
    yield "bias", crop(corrected, ref.mask, ref.affine, ref.matrix)
    rigid = register.rigid(ref.corrected, ref.affine, ref.mask, stages.template)
    yield "register", crop(ref.corrected, ref.mask, ref.affine, rigid.matrix)
    inside = crop(ref.corrected, ref.mask, ref.affine, ref.matrix)[1]
    place = ref.affine, ref.matrix
    yield "resample", (resample.to_crop(ref.corrected, *place, resample.ORDER, inside), inside)


def measure(
    paths: list[Path], bundle: Bundle, template: nib.Nifti1Image, cache: Path, by_stage: bool
) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Embeddings: head -> variant -> (512,)."""
    found: dict[str, dict[str, NDArray[np.float32]]] = {}
    choice, output = choose("openvino", "cpu", "float32"), bundle.manifest.encoder.embedding
    with open_engine(bundle.model(), choice) as engine, Preprocessor(bundle) as stages:
        for path in paths:
            ref = reference(path, cache, template)
            row = {}
            for name, (volume, mask) in variants(path, ref, stages, by_stage):
                inputs = {"volume": volume, "mask": mask}
                batch = {k: np.asarray(v, np.float32)[None, None] for k, v in inputs.items()}
                row[name] = engine.run(batch)[output][0]
            found[heads.label(path)] = row
            moved = {k: np.linalg.norm(v - row["reference"]) for k, v in row.items()}
            print(heads.label(path), {k: f"{v:.4f}" for k, v in moved.items()}, flush=True)
    return found


def summarise(found: dict[str, dict[str, NDArray[np.float32]]]) -> dict[str, object]:
    """Distances to the reference, in units of the median distance between two subjects."""
    pairs = [
        (float(np.linalg.norm(found[a]["reference"] - found[b]["reference"])), a, b)
        for a, b in itertools.combinations(found, 2)
    ]
    same_set = [d for d, a, b in pairs if a.split("/")[0] == b.split("/")[0]]
    between = float(np.median(same_set))
    rows: dict[str, list[float]] = {}
    for row in found.values():
        for variant, embedding in row.items():
            if variant != "reference":
                moved = float(np.linalg.norm(embedding - row["reference"]))
                rows.setdefault(variant, []).append(moved / between)
    return {
        "heads": len(found),
        "between_subjects_same_set": between,
        "between_subjects_all": float(np.median([d for d, _, _ in pairs])),
        "relative_to_same_set": {
            variant: dict(zip(_QUANTILES, np.quantile(v, list(_QUANTILES.values())), strict=True))
            for variant, v in rows.items()
        },
    }


def main() -> None:
    """Measure, print, and write JSON."""
    args = script.options(
        __doc__,
        data=Path,
        cache=Path(".cache/reference"),
        sets="raw,ixi2mm,cohort",
        by_stage=(False, "also one stage at a time"),
        template=(Path, "the reference's template; ours if absent"),
        json=Path,
    )
    bundle = full_size.bundle(Path(".cache"))
    template = nib.load(args.template or bundle.template)
    paths = heads.find(args.data, tuple(args.sets.split(",")))
    found = measure(paths, bundle, template, args.cache, args.by_stage)
    script.tell(summarise(found), args.json)


if __name__ == "__main__":
    main()
