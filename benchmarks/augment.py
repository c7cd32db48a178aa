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

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from benchmarks.shared import heads
from fmtool import bundle as bundles
from runtime import scan
from runtime.preprocess.pipeline import Preprocessor
from training.augment import PARTS, SimCLRAugment, zscore_
from training.augment import monai as augment_monai

Row = dict[str, Any]

_COLUMNS = {
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
        monai_s, (theirs, outline) = _timed(by_monai)
        fused_s, (ours, inside) = _timed(by_fused)
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


def _timed(make: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    made = make()
    return time.perf_counter() - start, made


def main() -> None:
    """Measure, print a table, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--head", type=Path, help="a scan; the first of the cohort when absent")
    parser.add_argument("--views", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1, help="of both recipes")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    path = args.head or heads.find(sets=("cohort",))[0]
    volume, mask = prepared(path)
    torch.set_num_threads(args.threads)
    views = measure(volume, mask, args.views, SimCLRAugment(parts=frozenset(PARTS)))
    console = Console(stderr=True)
    rows = list(track(views, "Views", args.views, console=console, transient=True))
    summary = summarise(rows)

    table = Table("case", *_COLUMNS)
    for name, case in summary.items():
        table.add_row(name, *(form.format(case[key]) for key, form in _COLUMNS.items()))
    Console(width=140).print(table)
    setting = {"head": heads.label(path), "threads": args.threads, "torch": torch.__version__}
    print(json.dumps({"setting": setting, "summary": summary}, indent=1))
    if args.json:
        content = {"setting": setting, "summary": summary, "views": rows}
        args.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
