"""What a run is asked for, beside its recipe and `training.fit.settings`; no torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fmtool.space import CROP_SHAPE

ENCODER, HEAD, HEADS = "encoder", "head.json", "heads"


@dataclass(frozen=True)
class RunFiles:
    """Where a run is, and what it is made from.

    Attributes:
        out: the run's folder: encoder, checkpoints, logs.
        cache: folder for prepared volumes and embeddings.
        bundle: whose preprocessing to use; the demonstration bundle if absent.
        resume: go on where an earlier run in the folder stopped.
        force: train on scans that a check refuses, too.
    """

    out: Path
    cache: Path = Path(".cache/fmtool")
    bundle: Path | None = None
    resume: bool = False
    force: bool = False


@dataclass(frozen=True)
class LabelledTask:
    """What to learn from labels, and from which.

    Attributes:
        tasks: a built-in one, or a .toml file; several train one encoder together.
        split: what `train split` wrote for this cohort.
        validation: a table of its own to validate on.
        test: a table of its own to test on.
        allow_sites: accept scans of more than one site.
        strict: refuse rows without a label, which are left out otherwise.
        each_scan_is_a_person: where neither table nor paths say whom a scan shows.
        balance: weigh the classes of a task equally.
        input_shape: resize scans to these voxels, z y x; a bundle needs the full size.
        recompute: recompute activations in the backward pass: less memory.
    """

    tasks: list[str]
    split: Path | None = None
    validation: Path | None = None
    test: Path | None = None
    allow_sites: bool = False
    strict: bool = False
    each_scan_is_a_person: bool = False
    balance: bool = False
    input_shape: tuple[int, int, int] = CROP_SHAPE
    recompute: bool = False

    def head_of(self, name: str) -> str:
        """Where in the run's folder the head of the task called `name` is kept."""
        return HEAD if len(self.tasks) == 1 else f"{HEADS}/{name}.json"
