"""`fmtool train supervised|finetune`, top to bottom: labelled scans in, encoder and head out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import nn

from fmtool import bundle as bundles
from fmtool.bundle.exposure import Exposure
from fmtool.task import Task
from runtime.store.entry import StoredScan
from training import encoders, evidence
from training.cohort import Cohort
from training.cohort.duplicates import refuse_twins
from training.cohort.prepared import PreparedCohort
from training.evidence import out_of_fold
from training.fit import devices
from training.fit.settings import Settings
from training.joint import Joint
from training.runs.labelled import LabelledParts, Trained, train, train_jointly
from training.runs.parts import parted
from training.runs.run import ENCODER, LabelledTask, RunFiles
from training.store.prepare import usable
from training.supervised import Supervised


def run(
    table: Path,
    asked: LabelledTask,
    recipe: type[Supervised],
    encoder_of: Callable[[], tuple[nn.Module, Exposure]],
    files: RunFiles,
    settings: Settings,
    remark: Callable[[str], None] = print,
) -> list[Trained]:
    """Prepare the scans, train, test, and write `encoder/` and each head's JSON with its table.

    Args:
        table: a CSV or a BIDS folder, see `training.cohort.read`.
        asked: tasks and parts.
        recipe: supervised or fine-tuning.
        encoder_of: makes the encoder to start from, and says whose scans set its weights.
        files: of the run.
        settings: how long and on what.
        remark: told what whoever trains should know.

    Returns:
        what was found of each task; nothing in all processes but the first.

    Raises:
        InputError: for tables, a split or scans that cannot be used, or a folder of another run.
        UsageError: for a task that is not there or named twice, or unless one way of parting is
            named, which for several tasks is a split.
        TrainingStopped: after SIGTERM, once a checkpoint is written.
    """
    parts = parted(table, asked)
    wanted = [part.train.task for part in parts]
    for part in parts:
        evidence.check_enough(part.test, "the test part")
    every = [cohort for part in parts for cohort in (part.train, part.validation, part.test)]
    rows = {(row.image, row.line): row for part in every for row in part.rows}
    whole = Cohort(table, wanted[0], list(rows.values()))
    fabric = devices.launch(settings)
    for sentence in dict.fromkeys(s for part in every for s in part.remarks):
        if fabric.is_global_zero:
            remark(sentence)
    with fabric.rank_zero_first(), bundles.open(files.bundle) as opened:
        whole, entries = usable(
            whole, files.cache / "volumes", opened, force=files.force, remark=remark
        )
    refuse_twins(whole, entries)
    found = dict(zip(((row.image, row.line) for row in whole.rows), entries, strict=True))
    ready = [
        LabelledParts(*(_prepared(c, found) for c in (part.train, part.validation, part.test)))
        for part in parts
    ]
    encoder, seen = encoder_of()
    any_classes = any(task.classes for task in wanted)
    recipes = [
        recipe(
            encoder,
            task,
            part.training.labels.tolist(),
            settings.seed,
            asked.balance and (task.classes is not None or not any_classes),  # which it refuses
            asked.input_shape,
            asked.recompute,
        )
        for task, part in zip(wanted, ready, strict=True)
    ]
    more = (settings, files.out, files.resume, seen)
    made: Supervised | Joint
    if len(recipes) == 1:
        made, (one,) = recipes[0], ready
        trained = [train(fabric, made, one.training, one.validation, one.test, *more)]
    else:
        made = Joint(recipes, asked.recompute)
        trained = train_jointly(fabric, made, ready, *more)
    if fabric.is_global_zero:
        names = ", ".join(task.name for task in wanted)
        source = f"{made.name} for {names}, best of {settings.epochs} epochs"
        encoder = made.network.get_submodule("encoder")
        seen = trained[0].head.exposure
        encoders.save_encoder(files.out / ENCODER, encoder, source, overwrite=True, seen=seen)
        for one_of in trained:
            place = files.out / asked.head_of(one_of.head.task.name)
            place.parent.mkdir(exist_ok=True)
            one_of.head.save(place)
            out_of_fold.write(out_of_fold.beside(place), one_of.rows, one_of.head.task)
    fabric.barrier()
    return trained if fabric.is_global_zero else []


def _prepared(part: Cohort[Task], found: Mapping[tuple[Path, int], StoredScan]) -> PreparedCohort:
    """A part's scans that can be used."""
    rows = [row for row in part.rows if (row.image, row.line) in found]
    entries = [found[row.image, row.line] for row in rows]
    return PreparedCohort(part.path, part.task, rows, entries=entries)
