"""`fmtool train supervised|finetune`, top to bottom: labelled scans in, encoder and head out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import nn

from fmtool import bundle as bundles
from fmtool import task as tasks
from fmtool.bundle.exposure import Exposure
from fmtool.errors import UsageError
from fmtool.task import Task
from training import cohort as cohorts
from training import encoders, evidence
from training.cohort import Cohort, split
from training.cohort.duplicates import refuse_twins
from training.cohort.prepared import PreparedCohort
from training.cohort.split import SplitCohort
from training.evidence import out_of_fold
from training.fit import devices
from training.fit.settings import Settings
from training.runs.labelled import Trained, train
from training.runs.run import ENCODER, HEAD, LabelledTask, RunFiles
from training.store.entry import StoredScan
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
) -> Trained | None:
    """Prepare the scans, train, test, and write `encoder/` and `head.json` with its table.

    Args:
        table: a CSV or a BIDS folder, see `training.cohort.read`.
        asked: task and parts.
        recipe: supervised or fine-tuning.
        encoder_of: makes the encoder to start from, and says whose scans set its weights.
        files: of the run.
        settings: how long and on what.
        remark: told what whoever trains should know.

    Returns:
        what was found; None in all processes but the first.

    Raises:
        InputError: for tables, a split or scans that cannot be used, or a folder of another run.
        UsageError: for a task that is not there, or unless one way of parting is named.
        TrainingStopped: after SIGTERM, once a checkpoint is written.
    """
    task = tasks.get(asked.task)
    parts = _parts(table, task, asked)
    evidence.check_enough(parts.test, "the test part")
    every = [parts.train, parts.validation, parts.test]
    whole = Cohort(table, task, [row for part in every for row in part.rows])
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
    training, validation, test = (_prepared(part, found) for part in every)
    encoder, seen = encoder_of()
    made = recipe(
        encoder,
        task,
        training.labels.tolist(),
        settings.seed,
        asked.balance,
        asked.input_shape,
        asked.recompute,
    )
    trained = train(
        fabric, made, training, validation, test, settings, files.out, files.resume, seen
    )
    if fabric.is_global_zero:
        source = f"{made.name} for {task.name}, best of {settings.epochs} epochs"
        encoder = made.network.get_submodule("encoder")
        seen = trained.head.exposure
        encoders.save_encoder(files.out / ENCODER, encoder, source, overwrite=True, seen=seen)
        trained.head.save(files.out / HEAD)
        out_of_fold.write(out_of_fold.beside(files.out / HEAD), trained.rows, task)
    fabric.barrier()
    return trained if fabric.is_global_zero else None


def _prepared(part: Cohort[Task], found: Mapping[tuple[Path, int], StoredScan]) -> PreparedCohort:
    """A part's scans that can be used."""
    rows = [row for row in part.rows if (row.image, row.line) in found]
    entries = [found[row.image, row.line] for row in rows]
    return PreparedCohort(part.path, part.task, rows, entries=entries)


def _parts(table: Path, task: Task, asked: LabelledTask) -> SplitCohort:
    """Of one table by a split's file, or of three tables."""
    tables = asked.validation, asked.test
    said = asked.allow_sites, asked.strict, asked.each_scan_is_a_person
    if asked.split is not None and tables == (None, None):
        return split.read(asked.split, cohorts.read(table, task, *said))
    if asked.split is None and asked.validation is not None and asked.test is not None:
        return split.from_tables(table, asked.validation, asked.test, task, *said)
    raise UsageError(
        "say what validates and what tests: --split FILE of `fmtool train split`, "
        "or both --validation TABLE and --test TABLE"
    )
