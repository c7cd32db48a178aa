"""The heads of two scanners by smoothed tissue maps: embeddings with more of age in them.

A stand-in for an encoder, to see what a calibration makes of a head that follows age at a scanner
that it never saw; the demonstration's embedding does not. Each prepared head is z-scored, seen at
2 mm through three sigmoids of the intensity, smoothed, and read every 4 mm; its embedding is the
projection on the principal components of `ixi_hh`. Written as `benchmarks.sites.embed` writes.

    python -m benchmarks.sites.tissue ANSWERS OUT [--data DIR] [--sigma 7]
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from benchmarks.shared import heads, script
from benchmarks.sites.answers import lines
from benchmarks.sites.embed import FROM, REAL
from fmtool import bundle as bundles
from runtime import scan as scans
from runtime.preprocess.pipeline import Preprocessor

LEVELS, STEEP = (-1.0, -0.2, 0.5), 4.0
"""Of the z-score: between fluid, grey and white matter; and how steep the sigmoids are."""


def maps(volume: NDArray[np.float32], mask: NDArray[np.bool_], sigma: float) -> NDArray[np.float32]:
    """(features,) of a prepared head (z, y, x) in millimetres."""
    inside = volume[mask]
    z = np.where(mask, (volume - inside.mean()) / inside.std(), np.float32(-9.0))
    coarse = z.reshape(75, 2, 96, 2, 96, 2).mean(axis=(1, 3, 5))
    seen = [
        ndimage.gaussian_filter(special.expit(STEEP * (coarse - c)), sigma / 2.0) for c in LEVELS
    ]
    return np.stack([one[::2, ::2, ::2] for one in seen]).ravel().astype(np.float32)


def main() -> None:
    """Parse, prepare, project, write."""
    args = script.options(__doc__, "answers", "out", data=heads.DEFAULT, sigma=7.0)
    args.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, NDArray[np.float32]] = {}
    with bundles.open() as demo, Preprocessor(demo) as stages:
        for site in REAL:
            kept = args.out / f"{site}.npy"
            if not kept.exists():
                rows = []
                for one in lines(args.answers, site):
                    prepared = stages.run(scans.read(args.data / site / one["scan"]))
                    rows.append(maps(prepared.volume, prepared.mask, args.sigma))
                    print(site, one["scan"], flush=True)
                np.save(kept, np.stack(rows))
            found[site] = np.load(kept, allow_pickle=False)
    centre = found[FROM].mean(axis=0)
    axes = np.linalg.svd(found[FROM] - centre, full_matrices=False)[2][:-1]
    for site, rows in found.items():
        _write(args.out / f"{site}.jsonl", lines(args.answers, site), (rows - centre) @ axes.T)


def _write(path: Path, told: list[dict[str, object]], embeddings: NDArray[np.float32]) -> None:
    both = zip(told, embeddings.astype(float).tolist(), strict=True)
    text = [json.dumps({**one, "embedding": embedding}) for one, embedding in both]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
