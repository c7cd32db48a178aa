"""Project: a folder whose `fmtool.toml` says what is trained, exported and predicted with there.

`fmtool init` writes the file, `fmtool train` and `fmtool export` follow it, and `fmtool predict`
takes the bundle that they make. An option of the command line wins over the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fmtool import task as tasks
from fmtool.errors import InputError
from fmtool.project.read import read
from fmtool.project.sections import (
    DevicePlan,
    ExportPlan,
    GeneralPlan,
    HeadPlan,
    PretrainPlan,
    SplitPlan,
)

FILE = "fmtool.toml"

PRETRAINED = "pretrain"
"""Of the runs: the pretraining's."""

JOINT = "joint"
"""Likewise: the fine-tuning of several tasks together."""


@dataclass(frozen=True)
class Project:
    """A project's folder and plans; what it names is made a path here, relative to the folder.

    Attributes:
        folder: where the file is.
        general, pretrain, heads, split, devices, export: its sections.
    """

    folder: Path
    general: GeneralPlan
    pretrain: PretrainPlan
    heads: HeadPlan
    split: SplitPlan
    devices: DevicePlan
    export: ExportPlan

    @property
    def file(self) -> Path:
        """`fmtool.toml`."""
        return self.folder / FILE

    @property
    def cohort(self) -> Path:
        """The table or folder of scans."""
        return self.folder / self.general.cohort

    @property
    def cache(self) -> Path:
        """Of prepared volumes and embeddings."""
        return self.folder / self.general.cache

    @property
    def runs(self) -> Path:
        """Of what is trained."""
        return self.folder / self.general.runs

    @property
    def bundle(self) -> Path:
        """What `fmtool export` makes."""
        return self.folder / f"{self.general.name}.fmtool"

    @property
    def preprocessing(self) -> Path | None:
        """The bundle that prepares scans; None for the demonstration bundle."""
        said = self.general.preprocessing
        return self.folder / said if said else None

    @property
    def tasks(self) -> dict[str, str]:
        """What `fmtool.task.get` takes, by the tasks' names, in the file's order.

        Raises:
            InputError: if there is none, one comes twice, or a task's file cannot be used.
            UsageError: for a name that is not built in.
        """
        if not self.general.tasks:
            raise InputError(
                f'{self.file}: tasks is empty; name what to predict, such as tasks = ["age"], '
                f"there are {', '.join(tasks.BUILT_IN)}, and any that a .toml file describes"
            )
        found: dict[str, str] = {}
        for said in self.general.tasks:
            word = str(self.folder / said) if said.endswith(tasks.SUFFIX) else said
            name = tasks.get(word).name
            if name.casefold() in map(
                str.casefold, found
            ):  # as macOS and Windows take files' names
                raise InputError(f"{self.file}: tasks has {name} twice; take one out")
            found[name] = word
        return found

    @property
    def start(self) -> Path:
        """The encoder that heads, or the fine-tuning, start from."""
        if self.general.encoder:
            return self.folder / self.general.encoder
        return self.runs / PRETRAINED / "encoder"

    @property
    def encoder(self) -> Path:
        """The encoder that the bundle gets."""
        return self.start if self.heads.recipe == "probe" else self.run("encoder")

    @property
    def head_files(self) -> list[Path]:
        """The head of each task."""
        if self.heads.recipe == "probe":
            return [self.runs / "heads" / f"{name}.json" for name in self.tasks]
        names = list(self.tasks)
        return [self.run(f"heads/{n}.json" if len(names) > 1 else "head.json") for n in names]

    @property
    def tuned(self) -> str:
        """What the fine-tuning and its split are called: as its task, or `JOINT` of several."""
        return JOINT if len(self.tasks) > 1 else next(iter(self.tasks))

    def run(self, name: str = "") -> Path:
        """The fine-tuning's folder, or what is in it."""
        return self.runs / self.tuned / name

    def made(self) -> Path:
        """The bundle, if it is there.

        Raises:
            InputError: if not: what makes it.
        """
        if not self.bundle.exists():
            raise InputError(
                f"{self.bundle} is not there yet: `fmtool train`, then `fmtool export` make it, as "
                f"{self.file} says; or name another bundle with --bundle"
            )
        return self.bundle


def find(folder: Path | None = None) -> Project | None:
    """The project of a folder, or of the working folder, where there may be none.

    Raises:
        InputError: if the folder that is named holds none, or its file cannot be used.
    """
    if folder is None:
        return open(Path()) if Path(FILE).exists() else None
    if not (folder / FILE).exists():
        raise InputError(f"{folder} holds no {FILE}; `fmtool init --project {folder}` makes one")
    return open(folder)


def open(folder: Path) -> Project:
    """The project of a folder.

    Raises:
        InputError: if its file cannot be used; see `fmtool.project.read`.
    """
    plans = read(folder / FILE)
    general = plans.pop("")
    project = Project(folder, general, **plans)
    word = general.name
    if not word or Path(word).name != word or word.startswith(".") or not word.isprintable():
        raise InputError(f"{project.file}: name is {word!r:.60}; it names a folder, NAME.fmtool")
    if not general.cohort:
        raise InputError(f"{project.file}: cohort is empty; name a BIDS folder or a CSV")
    return project
