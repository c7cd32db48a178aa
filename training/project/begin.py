"""`fmtool init`: a project's file from what a folder holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fmtool import task as tasks
from fmtool.errors import InputError
from fmtool.project import FILE
from fmtool.project.sections import SECTIONS, GeneralPlan, PretrainPlan
from fmtool.project.write import text
from fmtool.task import BUILT_IN, Task
from runtime.engines import cuda
from runtime.scan.bids import PARTICIPANTS
from runtime.system import atomic
from training import cohort as cohorts
from training import evidence
from training.cohort import Cohort
from training.cohort.row import NoLabelColumn, read_table

_LABEL = "label"
_IMAGES = "image_path"

LIGHT = PretrainPlan(
    width=0.125, epochs=10, view=(40, 48, 48), min_crop=(80, 100, 100), checkpoint_every=1
)
"""Minutes on a processor; the paper's size, which `PretrainPlan` has by default, takes a GPU."""


def begin(folder: Path, table: Path | None, asked: Sequence[str] = ()) -> list[str]:
    """Write `fmtool.toml`; what was found is told.

    Args:
        folder: of the project.
        table: of the cohort; looked for in the folder if absent.
        asked: tasks, as `fmtool.task.get` takes them; those whose labels are there if none.

    Raises:
        InputError: if the file is there already, or no cohort, or several, or one that cannot be
            used.
        UsageError: for a task that is not built in.
    """
    target = folder / FILE
    if target.exists():
        raise InputError(f"{target} is there and left as it is; edit it, or remove it first")
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; make it first")
    place = table or _only(folder)
    scans = cohorts.read(place, None)
    chosen, said = _tasks(folder, place, asked)
    found = [_whom(place, scans), *scans.remarks, *said]
    plans: dict[str, Any] = {name: kind() for name, kind in SECTIONS.items() if name}
    plans[""] = GeneralPlan(_name(folder), _inside(place, folder), tuple(chosen))
    notes = _notes(scans)
    if missing := cuda.missing():
        plans["pretrain"] = replace(LIGHT, batch=min(LIGHT.batch, len(scans.rows)))
        found.append(f"Pretraining is sized for this machine: {missing}.")
    atomic.write_bytes(target, text(plans, found, notes).encode())
    return [*found, f"Pretraining: {plans['pretrain'].epochs} epochs; edit {target} as you like."]


def _only(folder: Path) -> Path:
    found = list(_cohorts(folder))
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(
            f"{folder.absolute()} holds no cohort: no folder with {PARTICIPANTS}, no CSV with the "
            f"column {_IMAGES}; name one: fmtool init COHORT"
        )
    names = ", ".join(_inside(one, folder) for one in found[:5])
    raise InputError(
        f"{folder.absolute()} holds {len(found)} cohorts, {names}; name one: fmtool init COHORT"
    )


def _cohorts(folder: Path) -> Iterator[Path]:
    if (folder / PARTICIPANTS).is_file():
        yield folder
        return
    for one in sorted(folder.iterdir()):
        if one.is_dir() and (one / PARTICIPANTS).is_file():
            yield one
        elif one.suffix in (".csv", ".tsv") and one.is_file():
            try:
                if _IMAGES in read_table(one).columns:
                    yield one
            except InputError:  # a table of something else
                continue


def _tasks(folder: Path, place: Path, asked: Sequence[str]) -> tuple[list[str], list[str]]:
    """What `tasks` says, and sentences on what was found of labels."""
    words = list(asked) or [*BUILT_IN, *(str(p) for p in sorted(folder.glob("*.toml")))]
    chosen: list[str] = []
    said: list[str] = []
    for word in words:
        try:
            task = tasks.get(word)
        except InputError:
            if asked:
                raise
            continue  # another tool's file
        try:
            if not asked and _is_nameless(place, task):
                continue
            labelled = cohorts.read(place, task, allow_sites=True)
            evidence.check_enough(labelled, "a probe")
        except InputError as error:
            if asked:
                raise
            if not isinstance(error, NoLabelColumn):
                said.append(f"The task {task.name} is left out: {error}.")
            continue
        chosen.append(_inside(Path(word), folder) if word.endswith(tasks.SUFFIX) else word)
        said.append(f"The task {task.name}: {_labels(labelled)}.")
    if not chosen:
        said.append(f"No task is chosen: set tasks, of {', '.join(BUILT_IN)} or a task's file.")
    return chosen, said


def _is_nameless(place: Path, task: Task) -> bool:
    """Whether only a column that does not say whose labels it holds would serve."""
    if place.is_dir() or place.name == PARTICIPANTS:
        return False
    columns = read_table(place).columns
    return task.label not in columns and _LABEL in columns


def _labels(labelled: Cohort[Task]) -> str:
    task, y = labelled.task, labelled.labels
    count = f"{len(y)} labels"
    if task.classes is None:
        return f"{count}, {y.min():g} to {y.max():g} {task.unit}"
    each = Counter(y.tolist())
    return f"{count}, " + ", ".join(f"{each[float(i)]} {c}" for i, c in enumerate(task.classes))


def _whom(place: Path, scans: Cohort[None]) -> str:
    kind = "BIDS" if place.is_dir() or place.name == PARTICIPANTS else "CSV"
    people, rows = len(set(scans.subjects)), scans.rows
    sessions = {row.session for row in rows} - {None}
    more = f", {len(sessions)} sessions" if sessions else ""
    prepared = sum(row.mask is not None for row in rows)
    form = "prepared" if prepared == len(rows) else "raw" if not prepared else "raw and prepared"
    return f"Cohort {place}: {kind}, {people} subjects, {len(rows)} scans ({form}){more}."


def _notes(scans: Cohort[None]) -> dict[str, str]:
    sites = sorted({row.site for row in scans.rows if row.site})
    many = f"{', '.join(sites[:5])}{' and others' if len(sites) > 5 else ''}"
    return {"allow_sites": f"this cohort is of {many}"} if sites else {}


def _name(folder: Path) -> str:
    """The folder's, or the first free one after it: a bundle that is there is not the project's."""
    name = folder.absolute().resolve().name.lstrip(".") or "project"
    number = 1
    while (folder / f"{name}{'' if number == 1 else f'-{number}'}.fmtool").exists():
        number += 1
    return name if number == 1 else f"{name}-{number}"


def _inside(path: Path, folder: Path) -> str:
    """A path as the project's file says it: relative to it where it lies below."""
    whole, top = path.resolve(), folder.resolve()
    return whole.relative_to(top).as_posix() if whole.is_relative_to(top) else str(whole)
