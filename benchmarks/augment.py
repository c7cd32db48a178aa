"""Seconds per view of the fused augmentation against MONAI's Compose, and how far they agree.

MONAI's transforms draw a view as upstream's training does; the fused recipe then makes the view of
the numbers that were drawn, on the same volume, at 150x192x192, on the CPU, with as many threads
(one by default: a loader's worker). Both times hold the same z-score, the fused recipe's own, which
is faster than upstream's. For each view with brain in it:

* `ratio`, MONAI's seconds over the fused recipe's; the summary gives medians, over all views and
  for those with and without rotation, and the ratio of the total times;
* `difference`, the mean absolute difference in standard deviations, where both masks are, and
  `dice` of the masks.

The machine's own noise is in every ratio: take many views.

    python -m benchmarks.augment [--head FILE] [--views N] [--threads N] [--json FILE]
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from benchmarks.shared import heads, script
from fmtool import bundle as bundles
from runtime import scan
from runtime.preprocess.pipeline import Preprocessor
from training.augment import PARTS, SimCLRAugment, zscore_
from training.augment import monai as augment_monai

Row = dict[str, Any]

_COLUMNS = {
    "case": "{}",
    "views": "{}",
    "monai_s": "{:.3f}",
    "fused_s": "{:.3f}",
    "ratio": "{:.1f}",
    "lowest_ratio": "{:.1f}",
    "total_ratio": "{:.1f}",
    "max_difference": "{:.4f}",
    "min_dice": "{:.6f}",
}


def prepared(path: Path) -> tuple[Tensor, Tensor]:
    """The head's volume and mask on the model's crop, by the demonstration bundle."""
    with bundles.open() as opened, Preprocessor(opened) as stages:
        found = stages.run(scan.read(path))
    return torch.from_numpy(found.volume), torch.from_numpy(found.mask)


def measure(volume: Tensor, mask: Tensor, views: int, fused: SimCLRAugment) -> Iterator[Row]:
    """A row per view with brain in it; the first warms both recipes up and is not given."""
    compose = augment_monai.recipe(fused.output_shape, fused.min_crop)
    compose.set_random_state(seed=0)

    def by_monai() -> tuple[Tensor, Tensor]:
        made = compose({"volume": volume[None], "mask": mask.float()[None]})
        view, inside = (made[key].as_tensor()[0] for key in ("volume", "mask"))
        zscore_(view, inside)
        return view, inside

    def by_fused() -> tuple[Tensor, Tensor]:
        view, inside = fused.apply(volume, mask, augment_monai.drawn(compose))
        zscore_(view, inside)
        return view, inside

    given = -1
    while given < views:
        (theirs, outline), monai_s = script.timed(by_monai)
        (ours, inside), fused_s = script.timed(by_fused)
        shared = (inside > 0) & (outline > 0)
        if not shared.any():
            continue
        given += 1
        if given:
            yield {
                "rotated": augment_monai.drawn(compose).angle != 0,
                "monai_s": monai_s,
                "fused_s": fused_s,
                "ratio": monai_s / fused_s,
                "difference": float((ours - theirs)[shared].abs().mean()),
                "dice": float(2 * shared.sum() / (inside.sum() + outline.sum())),
            }


def summarise(rows: list[Row]) -> dict[str, Row]:
    """Medians and extremes over all views, those without and those with rotation."""
    cases = {
        "all": rows,
        "not rotated": [r for r in rows if not r["rotated"]],
        "rotated": [r for r in rows if r["rotated"]],
    }
    return {
        name: {
            "views": len(some),
            **{k: statistics.median(r[k] for r in some) for k in ("monai_s", "fused_s", "ratio")},
            "lowest_ratio": min(r["ratio"] for r in some),
            "total_ratio": sum(r["monai_s"] for r in some) / sum(r["fused_s"] for r in some),
            "max_difference": max(r["difference"] for r in some),
            "min_dice": min(r["dice"] for r in some),
        }
        for name, some in cases.items()
        if some
    }


def main() -> None:
    """Measure, print a table, and write JSON."""
    args = script.options(
        __doc__,
        head=(Path, "a scan; the first of the cohort when absent"),
        views=40,
        threads=(1, "of both recipes"),
        json=Path,
    )
    path = args.head or heads.find(sets=("cohort",))[0]
    volume, mask = prepared(path)
    torch.set_num_threads(args.threads)
    views = measure(volume, mask, args.views, SimCLRAugment(parts=frozenset(PARTS)))
    console = Console(stderr=True)
    rows = list(track(views, "Views", args.views, console=console, transient=True))
    summary = summarise(rows)

    script.show([{"case": name, **case} for name, case in summary.items()], _COLUMNS, 140)
    setting = {"head": heads.label(path), "threads": args.threads, "torch": torch.__version__}
    found = {"setting": setting, "summary": summary}
    script.tell(found, args.json, {**found, "views": rows})


if __name__ == "__main__":
    main()
