"""`fmtool train supervised|finetune`, top to bottom: labelled scans in, encoder and head out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from fmtool import bundle as bundles
from fmtool import task as tasks
from fmtool.bundle.exposure import Exposure
from fmtool.errors import UsageError
from fmtool.task import Task
from runtime.store.entry import StoredScan
from training import cohort as cohorts
from training import encoders, evidence
from training.cohort import Cohort, split
from training.cohort.duplicates import refuse_twins
from training.cohort.prepared import PreparedCohort
from training.cohort.split import SplitCohort
from training.evidence import out_of_fold
from training.fit import devices
from training.fit.settings import Settings
from training.joint import Joint
from training.runs.labelled import LabelledParts, Trained, train, train_jointly
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
    wanted = [tasks.get(name) for name in asked.tasks]
    names = [task.name for task in wanted]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"the task {twice[0]} is named twice; name it once")
    parts = _parts(table, wanted, asked)
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
        source = f"{made.name} for {', '.join(names)}, best of {settings.epochs} epochs"
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


def _parts(table: Path, wanted: Sequence[Task], asked: LabelledTask) -> list[SplitCohort]:
    """Of one table by a split's file, or of three tables."""
    tables = asked.validation, asked.test
    said = asked.allow_sites, asked.strict, asked.each_scan_is_a_person
    if asked.split is not None and tables == (None, None):
        labelled = [cohorts.read(table, task, *said) for task in wanted]
        if len(wanted) == 1:
            return [split.read(asked.split, labelled[0])]
        if (of := split.load(asked.split).task) is not None:
            raise UsageError(
                f"{asked.split} parts those who have a label of {of}; several tasks need everybody "
                "parted: `fmtool train split` without --task"
            )
        # Of all rows: one that has no label of one task may have another's.
        plan = split.read(asked.split, cohorts.read(table, None, *said))
        return [_of_task(plan, cohort) for cohort in labelled]
    if asked.split is None and asked.validation is not None and asked.test is not None:
        if len(wanted) > 1:
            raise UsageError(
                "several tasks need one split of one table: `fmtool train split` without --task, "
                "then --split FILE"
            )
        return [split.from_tables(table, asked.validation, asked.test, wanted[0], *said)]
    raise UsageError(
        "say what validates and what tests: --split FILE of `fmtool train split`, "
        "or both --validation TABLE and --test TABLE"
    )


def _of_task(plan: SplitCohort, cohort: Cohort[Task]) -> SplitCohort:
    """A task's rows, parted as the plan parts everybody."""

    def those(part: Cohort[Any]) -> Cohort[Task]:
        whom = set(part.subjects)
        return cohort.take(i for i, row in enumerate(cohort.rows) if row.subject in whom)

    return SplitCohort(those(plan.train), those(plan.validation), those(plan.test))
