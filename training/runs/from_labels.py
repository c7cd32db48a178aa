"""`fmtool train supervised|finetune`, top to bottom: labelled scans in, encoder and head out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from fmtool import bundle as bundles
from fmtool.errors import UsageError
from fmtool.task import Task
from training import cohort as cohorts
from training import encoders
from training.cohort import Cohort
from training.cohort import split as split_file
from training.cohort.split import Parts, from_tables
from training.fit import devices
from training.fit.settings import Settings
from training.runs.labelled import Part, Trained, train
from training.store.prepare import prepare
from training.supervised import Supervised

ENCODER = "encoder"
HEAD = "head.json"


def parts_of(
    table: Path,
    task: Task,
    split: Path | None,
    validation: Path | None,
    test: Path | None,
    allow_sites: bool = False,
) -> Parts:
    """The three parts: of one table by a split's file, or of three tables.

    Raises:
        InputError: for what the tables or the split cannot be used for.
        UsageError: unless exactly one of the two ways is given.
    """
    if split is not None and validation is None and test is None:
        return split_file.read(split, cohorts.read(table, task, allow_sites))
    if split is None and validation is not None and test is not None:
        return from_tables(table, validation, test, task, allow_sites)
    raise UsageError(
        "say what validates and what tests: --split FILE of `fmtool train split`, "
        "or both --validation TABLE and --test TABLE"
    )


def run(
    table: Path,
    parts: Parts,
    task: Task,
    recipe_of: Callable[[list[float]], Supervised],
    settings: Settings,
    out: Path,
    cache: Path,
    bundle: Path | None = None,
    resume: bool = False,
) -> Trained | None:
    """Prepare the scans, train, test, and write `encoder/` and `head.json`.

    Returns:
        what was found; None in all processes but the first.

    Args:
        table: names the cohort in errors.
        parts: see `parts_of`.
        task: what to learn.
        recipe_of: from the training labels to the recipe.
        settings: how long and on what.
        out: the run's folder.
        cache: folder for prepared volumes.
        bundle: whose preprocessing to use; the demonstration bundle if absent.
        resume: go on where an earlier run in `out` stopped.

    Raises:
        InputError: for scans that cannot be used, or a folder of another run.
        Stopped: after SIGTERM, once a checkpoint is written.
    """
    fabric = devices.launch(settings)
    every = [*parts.train, *parts.validation, *parts.test]
    with fabric.rank_zero_first(), bundles.open(bundle) as opened:
        entries = prepare(Cohort(table, task, every), cache / "volumes", opened)
    recipe = recipe_of([row.label for row in parts.train])
    cut = (len(parts.train), len(parts.train) + len(parts.validation))
    trained = train(
        fabric,
        recipe,
        Part(entries[: cut[0]], parts.train),
        Part(entries[cut[0] : cut[1]], parts.validation),
        Part(entries[cut[1] :], parts.test),
        settings,
        out,
        resume,
    )
    if fabric.is_global_zero:
        folder = out / ENCODER
        if folder.exists():  # of the same run, before more epochs were asked for
            shutil.rmtree(folder)
        source = f"{recipe.name} for {task.name}, best of {settings.epochs} epochs"
        encoders.save_encoder(folder, recipe.network.get_submodule("encoder"), source)
        trained.head.save(out / HEAD)
    fabric.barrier()
    return trained if fabric.is_global_zero else None
