"""Pretraining from a table of scans to an encoder's folder, for every self-supervised recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fmtool import bundle as bundles
from training import cohort as cohorts
from training import encoders
from training.cohort import split as splits
from training.cohort.exposure import exposure
from training.fit import devices
from training.fit.data import ScanDataset
from training.fit.loop import Loop
from training.fit.recipe import Recipe
from training.fit.settings import Settings
from training.runs.collapse import CollapseWatch
from training.runs.run import ENCODER, RunFiles
from training.store.prepare import usable


def run(
    table: Path,
    recipe: Recipe,
    files: RunFiles,
    settings: Settings,
    remark: Callable[[str], None] = print,
    split: Path | None = None,
) -> Path | None:
    """Prepare the scans, train, and write the encoder.

    Returns:
        the encoder's folder; None in all processes but the first.

    Args:
        table: a CSV or BIDS folder; labels are not read.
        recipe: a self-supervised one.
        files: of the run: `encoder/`, `checkpoints/`, `metrics.csv`, `tensorboard/` are written.
        settings: how long and on what.
        remark: told what whoever trains should know, epochs that go wrong included.
        split: of `fmtool train split`: those who validate and test by it are left out.

    Raises:
        InputError: for scans that cannot be used, or a folder of another run.
        Stopped: after SIGTERM, once a checkpoint is written.
    """
    cohort = cohorts.read(table, None)
    for sentence in cohort.remarks:
        remark(sentence)
    if split is not None:
        cohort = splits.without_tested(split, cohort)
    else:
        remark(
            "All scans of the table are seen: figures of the same people by this encoder will not "
            "hold for new ones; --split leaves those out who validate and test."
        )
    fabric = devices.launch(settings)
    with fabric.rank_zero_first(), bundles.open(files.bundle) as opened:
        cohort, entries = usable(
            cohort, files.cache / "volumes", opened, force=files.force, remark=remark
        )
    loop = Loop(fabric, recipe, ScanDataset(entries), settings, files.out, files.resume)
    watch = (
        CollapseWatch(2 * settings.batch * fabric.world_size) if recipe.name == "simclr" else None
    )

    def on_epoch(epoch: int, means: dict[str, float], record: dict[str, Any]) -> dict[str, float]:
        del record
        warning = watch.check(means["loss"], means["projection_uniformity"]) if watch else None
        if warning and fabric.is_global_zero:
            remark(f"epoch {epoch}: {warning}")
        return {}

    loop.run(on_epoch)
    folder = files.out / ENCODER
    if fabric.is_global_zero:
        source = f"{recipe.name}, {settings.epochs} epochs on {len(entries)} scans"
        encoder = recipe.network.get_submodule("encoder")
        seen = exposure(cohort, entries, labels=False)
        encoders.save_encoder(folder, encoder, source, overwrite=True, seen=seen)
    fabric.barrier()
    return folder if fabric.is_global_zero else None
