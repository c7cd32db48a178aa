"""What the checks cost: processor seconds of one head's measurements, all together and each alone.

python -m benchmarks.checks SCAN [--repeats 5]
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.shared import script
from fmtool import bundle as bundles
from runtime import quality
from runtime import scan as scans
from runtime.preprocess.pipeline import Preprocessor
from runtime.quality import edge, field, fitted, ghosts, noise, outliers, sharpness
from runtime.quality.view import View


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Median processor time, all threads counted."""
    return median(script.timed(call, time.process_time)[1] for _ in range(repeats))


def parts(path: Path) -> tuple[dict[str, Callable[[], object]], tuple[int, ...]]:
    """What to time on a scan, and its shape."""
    with bundles.open() as bundle, Preprocessor(bundle) as stages:
        scan = scans.read(path)
        prepared = stages.run(scan)
        crop = stages.template.crop
    image, brain, affine = prepared.corrected, prepared.brain, prepared.affine
    volume, mask = prepared.volume, prepared.mask
    spacing = np.linalg.norm(affine[:3, :3], axis=0)

    def view() -> View:
        return View(image, brain, spacing)

    return {
        "all": lambda: quality.measure(
            scan.array, image, brain, affine, volume, mask, prepared.transform, crop
        ),
        "edge": lambda: edge.measure(view()),
        "field of view": lambda: field.measure(view()),
        "noise": lambda: noise.measure(view()),
        "sharpness": lambda: sharpness.measure(view()),
        "outliers": lambda: outliers.measure(view()),
        "ghosts": lambda: ghosts.measure(scan.array, brain, affine),
        "template fitted": lambda: fitted.fit(volume, mask, crop),
    }, scan.array.shape


def main() -> None:
    """Parse, time, print; the parts look at the whole array, `all` only at the brain's box."""
    args = script.options(__doc__, "scan", repeats=5)
    calls, shape = parts(args.scan)
    print(f"{' x '.join(map(str, shape))} voxels")
    for name, call in calls.items():
        print(f"{name}: {seconds(call, args.repeats):.3f} s")


if __name__ == "__main__":
    main()
