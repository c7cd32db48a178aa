"""A folder of synthetic heads, in the form that a cohort of real ones has; one scan at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from fmtool import space
from fmtool.errors import InputError, UsageError
from runtime.system import atomic
from training.synth import acquisition, anatomy, label
from training.synth.acquisition import Acquisition
from training.synth.render import RenderGrid, SyntheticHead, render
from training.synth.subject import Subject, draw, generator

PARTICIPANTS = "participants.tsv"
"""BIDS's own name of the table of subjects."""

TABLE = "cohort.csv"
"""Of a prepared cohort: the paper's columns."""

TRUTH = "truth.tsv"
"""What each scan was made with, one row per scan."""

_FIELD_OF_VIEW_MM = (224, 264, 224)  # holds every head in every pose


def write(
    out: str | os.PathLike[str],
    subjects: int,
    seed: int,
    sessions: int = 1,
    prepared: bool = False,
    spacing: float = 1.0,
) -> Path:
    """Write a synthetic cohort: the same arguments, the same files, bit for bit.

    Args:
        out: a folder that does not exist yet or is empty.
        subjects: how many; the first ones are the same in a larger cohort of the same seed.
        seed: of everything.
        sessions: scans per subject, of the same head in the same year.
        prepared: write volumes and masks on the model's grid, the head straight, instead of scans
            in a pose and field of view of their own. No N4 has corrected their bias fields.
        spacing: of a scan's voxels in mm.

    Returns:
        what `training.cohort.read` takes, for age and for sex: the folder, laid out after BIDS,
        or the table of a prepared cohort. Written last, so that an interrupted cohort has none.

    Raises:
        InputError: if the folder holds files already or cannot be written.
        UsageError: for fewer than one subject or session.
    """
    folder = _claim(Path(out), subjects, sessions)
    average = anatomy.load()
    frame = RenderGrid(space.GRID_SHAPE, space.grid_affine()) if prepared else _frame(spacing)
    label.write(folder, subjects, seed, prepared)
    people, truths, table = [], [], []
    todo = track(range(1, subjects + 1), "Synthetic heads", console=Console(stderr=True))
    for number in todo:
        subject = draw(seed, number)
        people.append((subject.name, subject.age, subject.sex, "yes"))
        for session, where in _places(folder, subject, sessions, prepared):
            rng = generator(seed, 2, number, session)
            scan = acquisition.draw(rng, straight=prepared)
            head = render(average, subject, scan, frame, rng)
            names = [str(f.relative_to(folder)) for f in _save(head, frame, where, prepared)]
            table.append((*names, subject.age, *people[-1]))
            truths.append({"scan": names[0], **_truth(subject, scan, head)})
    _table(folder / TRUTH, list(truths[0]), [tuple(truth.values()) for truth in truths])
    if prepared:
        columns = ["image_path", "mask_path", "label", *label.COLUMNS]
        return _table(folder / TABLE, columns, table)
    _table(folder / PARTICIPANTS, list(label.COLUMNS), people)
    return folder


def _claim(folder: Path, subjects: int, sessions: int) -> Path:
    if subjects < 1 or sessions < 1:
        raise UsageError(
            f"{subjects} subjects of {sessions} sessions make no cohort: say 1 or more"
        )
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder} is not an empty folder and is left as it is; name another one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make {folder} ({error.strerror}); name a folder that you may write to"
        ) from None
    return folder


def _frame(spacing: float) -> RenderGrid:
    shape = [round(extent / spacing) for extent in _FIELD_OF_VIEW_MM]
    affine = np.diag([spacing] * 3 + [1.0])
    affine[:3, 3] = [-0.5 * spacing * (n - 1) for n in shape]
    return RenderGrid((shape[0], shape[1], shape[2]), affine)


def _places(
    folder: Path, subject: Subject, sessions: int, prepared: bool
) -> Iterator[tuple[int, Path]]:
    """Each session's number and the file, without its ending, that its scan goes to."""
    for session in range(1, sessions + 1):
        who, where = subject.name, folder / subject.name
        if sessions > 1:
            who, where = f"{who}_ses-{session:02d}", where / f"ses-{session:02d}"
        yield session, where / "normalized" if prepared else where / "anat" / f"{who}_T1w"


def _save(head: SyntheticHead, frame: RenderGrid, where: Path, prepared: bool) -> list[Path]:
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make {where.parent} ({error.strerror}); name a folder that you may write to"
        ) from None
    arrays: dict[str, NDArray[np.uint8]] = {f"{where.name}.nii.gz": head.voxels}
    if prepared:
        arrays["mask.nii.gz"] = head.mask.astype(np.uint8)
    for name, array in arrays.items():
        atomic.write_bytes(where.with_name(name), label.nifti(array, frame.affine))
    return [where.with_name(name) for name in arrays]


def _truth(subject: Subject, scan: Acquisition, head: SyntheticHead) -> dict[str, Any]:
    return {
        "participant_id": subject.name,
        "synthetic": "yes",
        "age": subject.age,
        "sex": subject.sex,
        "expansion_mm": subject.expansion_mm,
        "thinning_mm": subject.thinning_mm,
        "size": subject.size,
        **dict(zip(("aspect_x", "aspect_y", "aspect_z"), subject.aspect, strict=True)),
        "warp_mm": subject.warp_mm,
        **head.truth,
        **scan.facts(),
    }


def _table(path: Path, columns: list[str], rows: list[tuple[Any, ...]]) -> Path:
    """Text with commas, or with tabs for a `.tsv`; numbers to six digits."""
    mark = "\t" if path.suffix == ".tsv" else ","
    cells = [[f"{c:.6g}" if isinstance(c, float) else str(c) for c in row] for row in rows]
    lines = [mark.join(row) for row in [columns, *cells]]
    atomic.write_bytes(path, ("\n".join(lines) + "\n").encode())
    return path
