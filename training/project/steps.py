"""`fmtool train` in a project, top to bottom: prepare, split, pretrain, heads with their evidence.

Each step leaves a file that is complete or absent, and `done.json` says what it was made from: the
same command again goes on with the first step that is not done as the project's file says now. A
training that was killed goes on from its newest checkpoint.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fmtool import __version__, plain_json
from fmtool import bundle as bundles
from fmtool import task as tasks
from fmtool.bundle.exposure import Exposure
from fmtool.errors import InputError
from fmtool.files import sha256
from fmtool.project import PRETRAINED, Project
from runtime.system import atomic
from training import cohort as cohorts
from training import encoders
from training.augment import SimCLRAugment
from training.cohort import Cohort, TaskT, split, split_make
from training.evidence import head as head_files
from training.evidence.head import Head
from training.fit.loop import TrainingStopped
from training.fit.recipe import Recipe
from training.fit.settings import Settings
from training.mae import MAE
from training.runs import from_labels, linear_probe, pretrain
from training.runs.run import LabelledTask, RunFiles
from training.simclr import SimCLR
from training.store.prepare import usable
from training.supervised import Finetune

_DONE = "done.json"
Say = Callable[[str], None]


@dataclass(frozen=True)
class TrainedStep:
    """What a step has made.

    Attributes:
        name: such as "pretrain", or a task's.
        place: the file or folder.
        again: whether it was there already, made from the same.
        head: of a task's step.
    """

    name: str
    place: Path
    again: bool
    head: Head | None = None


def train(project: Project, say: Say = print) -> Iterator[TrainedStep]:
    """Do what the project's file says and is not done; one step at a time.

    Raises:
        InputError: for scans, labels or a file that cannot be used, or a run that was begun
            otherwise than the file says now.
        TrainingStopped: after SIGTERM, once a checkpoint is written.
    """
    labelled = _labelled(project)
    run = _Run(project, _prepared(project, labelled, say), say)
    yield TrainedStep("prepare", project.cache / "volumes", False)
    tuned = project.heads.recipe == "finetune"
    if tuned:
        everybody = len(labelled) > 1
        yield run.split(_cohort(project, None) if everybody else labelled[project.tuned])
    if not project.general.encoder:
        yield (step := run.pretrain(tuned))
        if not step.again and project.devices.devices * project.devices.nodes > 1:
            say("The encoder is pretrained; `fmtool train` again makes the heads, in one process.")
            return
    if tuned:
        yield from run.finetune(labelled)
        return
    for name, cohort in labelled.items():
        yield run.probe(name, cohort)


def _labelled(project: Project) -> dict[str, Cohort[Any]]:
    """Of each task; whatever is wrong with any of them is said before hours of work."""
    return {name: _cohort(project, tasks.get(word)) for name, word in project.tasks.items()}


def _cohort(project: Project, task: TaskT) -> Cohort[TaskT]:
    general = project.general
    said = general.allow_sites, general.strict, general.each_scan_is_a_person
    return cohorts.read(project.cohort, task, *said)


def _prepared(project: Project, labelled: dict[str, Cohort[Any]], say: Say) -> dict[Path, str]:
    """The digest of each scan's volume, by its image: all scans to pretrain on, else those with
    labels."""
    table = cohorts.read(project.cohort, None)
    for sentence in table.remarks:
        say(sentence)
    if project.general.encoder:
        wanted = {row.image for cohort in labelled.values() for row in cohort.rows}
        table = table.take(i for i, row in enumerate(table.rows) if row.image in wanted)
    with bundles.open(project.preprocessing) as opened:
        place, jobs = project.cache / "volumes", project.general.jobs
        table, entries = usable(table, place, opened, jobs, remark=say)
    return {
        row.image: str(entry.facts["digest"])
        for row, entry in zip(table.rows, entries, strict=True)
    }


class _Run:
    def __init__(self, project: Project, digests: dict[Path, str], say: Say) -> None:
        self._project, self._digests, self._say = project, digests, say
        self._record = project.runs / _DONE
        self._done = _read(self._record)

    def split(self, cohort: Cohort[Any]) -> TrainedStep:
        project, name, place = self._project, self._project.tuned, self._split_file
        made_from = {
            **asdict(project.split),
            "scans": self._scans(cohort),
            "table": sha256(cohort.path),
        }
        if self._is_done(f"split-{name}", made_from, place):
            return TrainedStep("split", place, True)
        if place.exists():
            raise InputError(
                f"{place} is another split than {project.file} and its cohort give now, and "
                "results may rest on it; move it away, and what was trained on it"
            )
        plan = project.split
        made = split_make.make(cohort, plan.fractions, plan.seed, (), plan.test_sites)
        self._finish(f"split-{name}", made_from)  # first: a file without its record is a stranger
        split.write(place, made)
        return TrainedStep("split", place, False)

    def pretrain(self, tuned: bool) -> TrainedStep:
        """On all scans; before a fine-tuning, without those who validate and test."""
        project, plan = self._project, self._project.pretrain
        parts = self._split_file if tuned else None
        place = project.start
        table = cohorts.read(project.cohort, None)
        made_from = {**asdict(plan), **self._arithmetic(), "scans": self._scans(table)}
        made_from["split"] = sha256(parts) if parts else None
        if self._is_done(PRETRAINED, made_from, place):
            return TrainedStep(PRETRAINED, place, True)
        recipe = _recipe(project)
        with _resumable():
            pretrain.run(
                project.cohort,
                recipe,
                self._files(project.runs / PRETRAINED),
                self._settings(plan.epochs, plan.batch, plan.learning_rate, plan),
                self._say,
                parts,
            )
        self._finish(PRETRAINED, made_from)
        return TrainedStep(PRETRAINED, place, False)

    def probe(self, name: str, cohort: Cohort[Any]) -> TrainedStep:
        project, general = self._project, self._project.general
        place = project.runs / "heads" / f"{name}.json"
        made_from = {
            "seed": project.heads.seed,
            "encoder": _content(project.start),
            "scans": self._scans(cohort),
            "task": cohort.task.to_dict(),
            "fmtool": __version__,
        }
        if self._is_done(name, made_from, place):
            return TrainedStep(name, place, True, head_files.load(place))
        place.parent.mkdir(parents=True, exist_ok=True)
        found = linear_probe.run(
            project.cohort,
            project.tasks[name],
            project.start,
            place,
            project.cache,
            project.preprocessing,
            general.allow_sites,
            general.strict,
            project.heads.seed,
            self._say,
            general.each_scan_is_a_person,
        )
        self._finish(name, made_from)
        return TrainedStep(name, place, False, found.head)

    def finetune(self, labelled: dict[str, Cohort[Any]]) -> Iterator[TrainedStep]:
        project, general, plan = self._project, self._project.general, self._project.heads
        name, places = project.tuned, dict(zip(labelled, project.head_files, strict=True))
        of_each = [(self._scans(cohort), cohort.task.to_dict()) for cohort in labelled.values()]
        scans, told = zip(*of_each, strict=True)
        made_from = {
            **asdict(plan),
            **self._arithmetic(),
            "encoder": _content(project.start),
            "scans": scans[0] if len(scans) == 1 else scans,
            "split": sha256(self._split_file),
            "task": told[0] if len(told) == 1 else told,
        }
        if all(self._is_done(name, made_from, place) for place in places.values()):
            for task, place in places.items():
                yield TrainedStep(task, place, True, head_files.load(place))
            return
        asked = LabelledTask(
            list(project.tasks.values()),
            self._split_file,
            allow_sites=general.allow_sites,
            strict=general.strict,
            each_scan_is_a_person=general.each_scan_is_a_person,
            balance=plan.balance,
            recompute=project.devices.recompute,
        )
        with _resumable():
            trained = from_labels.run(
                project.cohort,
                asked,
                Finetune,
                self._start,
                self._files(project.run()),
                self._settings(plan.epochs, plan.batch, plan.learning_rate, plan),
                self._say,
            )
        self._finish(name, made_from)
        heads = {one.head.task.name: one.head for one in trained}
        for task, place in places.items():
            yield TrainedStep(task, place, False, heads.get(task))

    def _start(self) -> tuple[encoders.nn.Module, Exposure]:
        network, info = encoders.load_checkpoint(self._project.start)
        return network, info["exposure"]

    @property
    def _split_file(self) -> Path:
        return self._project.runs / f"split-{self._project.tuned}.json"

    def _files(self, folder: Path) -> RunFiles:
        project = self._project
        return RunFiles(folder, project.cache, project.preprocessing, resume=True)

    def _settings(self, epochs: int, batch: int, rate: float, plan: Any) -> Settings:
        on = self._project.devices
        return Settings(
            epochs=epochs,
            batch=batch,
            learning_rate=rate,
            seed=plan.seed,
            checkpoint_every=plan.checkpoint_every,
            precision=on.precision,
            device=on.device,
            devices=on.devices,
            nodes=on.nodes,
            workers=on.workers,
        )

    def _arithmetic(self) -> dict[str, Any]:
        on = self._project.devices
        return {"precision": on.precision, "processes": on.devices * on.nodes}

    def _scans(self, cohort: Cohort[Any]) -> str:
        """A digest of whom the rows show, their labels, and their prepared volumes."""
        lines = [
            f"{row.subject}\t{row.session}\t{row.site}\t{row.label!r}\t{self._digests[row.image]}"
            for row in cohort.rows
            if row.image in self._digests  # else a check refuses it
        ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def _is_done(self, name: str, made_from: dict[str, Any], place: Path) -> bool:
        return place.exists() and self._done.get(name) == _plain(made_from)

    def _finish(self, name: str, made_from: dict[str, Any]) -> None:
        self._done[name] = _plain(made_from)
        self._record.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self._done, indent=1, allow_nan=False) + "\n"
        atomic.write_bytes(self._record, text.encode())


def _recipe(project: Project) -> Recipe:
    plan, recompute = project.pretrain, project.devices.recompute
    if plan.recipe == "mae":
        return MAE(
            plan.architecture,
            plan.width,
            seed=plan.seed,
            output_shape=plan.view,
            ratio=plan.mask_ratio,
        )
    augment = SimCLRAugment(
        output_shape=plan.view, min_crop=plan.min_crop, parts=frozenset(plan.parts)
    )
    return SimCLR(plan.architecture, plan.width, plan.seed, augment, plan.temperature, recompute)


@contextmanager
def _resumable() -> Iterator[None]:
    try:
        yield
    except TrainingStopped as stopped:
        what = str(stopped).partition(";")[0]
        raise TrainingStopped(f"{what}; `fmtool train` goes on from there") from None


def _content(path: Path) -> str:
    """A digest of an encoder's file, or of its folder's files."""
    if path.is_file():
        return sha256(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    if not files:
        raise InputError(f"the encoder {path} does not exist, or is an empty folder")
    told = "\n".join(f"{file.relative_to(path)} {sha256(file)}" for file in files)
    return hashlib.sha256(told.encode()).hexdigest()


def _plain(made_from: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(made_from))  # as the file gives it back
    return plain


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found = plain_json.loads(path.read_bytes())
        if isinstance(found, dict):
            return found
    except (OSError, ValueError):
        pass
    raise InputError(f"{path} is damaged; remove it: what is done is found again, or made anew")
