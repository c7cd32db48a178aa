"""The heads of two scanners, and made scanners of one of them, answered once by a bundle.

A line of JSON per scan in OUT/SITE.jsonl: "scan", "embedding", "quality", "facts", and what the
table of labels says. What is there is not computed again. A made site sees every second head of
`ixi_hh` otherwise.

    python -m benchmarks.sites.embed OUT [--data DIR] [--bundle B.fmtool] [--sites A,B] [--heads 68]
"""

from __future__ import annotations

import argparse
import csv
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.robustness import grid, head, intensity
from benchmarks.robustness.head import PerturbedHead
from benchmarks.shared import heads, script
from benchmarks.shared.spoiled.strip import Redrawn
from fmtool.errors import FmtoolError
from runtime import scan as scans
from runtime.predict import Predictor

Brain = NDArray[np.bool_]
Change = Callable[[PerturbedHead, Brain, np.random.Generator], PerturbedHead]

REAL = ("ixi_hh", "cohort")
FROM = "ixi_hh"


def _blurred(seen: PerturbedHead, millimetres: float) -> PerturbedHead:
    return seen.with_values(ndimage.gaussian_filter(seen.array, millimetres / 2.355 / seen.spacing))


def _stripped(seen: PerturbedHead, brain: Brain, rim: float) -> PerturbedHead:
    near = ndimage.distance_transform_edt(~brain, sampling=seen.spacing) <= rim
    return PerturbedHead(np.where(near, seen.array, np.float32(0.0)), seen.affine, near)


def _coil(seen: PerturbedHead, brain: Brain, random: np.random.Generator) -> PerturbedHead:
    """A surface coil: the same gain over the head at every visit, from back to front."""
    gain = np.exp(np.linspace(0.6, -0.6, seen.array.shape[1], dtype=np.float32))
    return intensity.shaded(seen.with_values(seen.array * gain[None, :, None]), brain, 40.0, random)


MADE: dict[str, Change] = {
    "coil": _coil,
    "coil_blur": lambda h, b, r: _blurred(_coil(h, b, r), 3.0),
    "voxels_strip": lambda h, b, r: grid.spaced(_stripped(h, b, 2.5), millimetres=1.5),
    "protocol": lambda h, b, r: intensity.noisy(intensity.curved(h, b, 0.6), b, 20.0, r),
    "voxels": lambda h, b, r: grid.spaced(h, millimetres=3.0),
}
"""Site -> how it sees a head: new gain; that and a blur; 1.5 mm and a strip that leaves 2.5 mm more
than the brain; another contrast and noise; 3 mm voxels."""


def told(folder: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Each head of a set, and its line of the table."""
    with (folder / "participants.tsv").open(encoding="utf-8-sig", newline="") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            yield folder / f"{row['participant_id']}_T1w.nii.gz", row


def main() -> None:
    """Parse, answer, write."""
    args = script.options(
        __doc__,
        "out",
        data=heads.DEFAULT,
        bundle=Path,
        sites=",".join((*REAL, *MADE)),
        heads=(68, "of a made site"),
    )
    args.out.mkdir(parents=True, exist_ok=True)
    with Predictor(args.bundle) as predictor:
        strip = Redrawn(predictor.bundle)
        with strip:
            for site in args.sites.split(","):
                _site(site, args.out / f"{site}.jsonl", args, predictor, strip)


def _site(
    site: str, out: Path, args: argparse.Namespace, predictor: Predictor, strip: Redrawn
) -> None:
    rows = list(told(args.data / (site if site in REAL else FROM)))
    rows = rows if site in REAL else rows[1::2][: args.heads]
    done = (
        {json.loads(line)["scan"] for line in out.read_text().splitlines()} if out.exists() else ()
    )
    with out.open("a", encoding="utf-8") as lines:
        for path, row in rows:
            if path.name in done:
                continue
            scan = scans.read(path)
            if site not in REAL:
                random = np.random.default_rng(zlib.crc32(f"{path.name} {site}".encode()))
                brain = strip.brain(scan)[1]
                scan = MADE[site](head.of(scan, False), brain, random).scan()
            found: dict[str, Any] = {"scan": path.name, **row}
            try:
                result = predictor.predict(scan).to_dict()
                found |= {key: result[key] for key in ("embedding", "facts", "quality")}
            except FmtoolError as error:
                found["error"] = str(error)
            print(json.dumps(found), file=lines, flush=True)
            print(site, path.name, found.get("error", ""), flush=True)


if __name__ == "__main__":
    main()
