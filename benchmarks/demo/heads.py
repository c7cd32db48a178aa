"""IXI's Hammersmith heads as the cohorts of the demonstration's two tasks, each head three times.

The heads have voxels of 2 mm, a site's of 1 mm: resampled, a head is more blurred and less noisy,
its z-scores are spread wider, and a linear model of 2 mm heads alone takes that for years of age.
Another day's head lies otherwise on its grid. So each head has a copy of 1 mm, and one of 1 mm on
a turned grid, both of the same person: no fold parts them, and the model has to find what all show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.processing import resample_from_to, resample_to_output
from scipy.spatial.transform import Rotation

from benchmarks.sites.embed import told
from export.parts.card import WEIGHTS_LICENCE
from fmtool.errors import InputError
from fmtool.task import AGE, SEX, Task
from training.cohort import Cohort, Row

SITE = "IXI-HH"

FINE_MM = 1.0

_MARGIN = 8  # voxels, that no corner of a turned head is lost

CREDIT = (
    "Heads made from the IXI data set (brain-development.org): the weights are licensed under CC "
    f"BY-SA 3.0, see {WEIGHTS_LICENCE}"
)

LICENCE = f"""\
The weights of this bundle's heads were made from T1-weighted images of the IXI data set (site
{SITE}, https://brain-development.org/ixi-dataset/), which its makers publish under Creative Commons
Attribution-ShareAlike 3.0 Unported. The encoder's were made without them, from synthetic heads that
are deformations of the ICBM 152 tissue maps (see LICENSES/mni152.txt). These weights, unlike
fmtool's code, are therefore licensed under the same terms:
https://creativecommons.org/licenses/by-sa/3.0/legalcode

Credit: IXI data set, brain-development.org. The images were prepared, and linear models were
fitted on them; no image is enclosed. The makers of IXI endorse neither fmtool nor this
bundle.
"""


def finer(head: nib.Nifti1Image) -> nib.Nifti1Image:
    """A head on voxels of 1 mm, by trilinear interpolation."""
    return resample_to_output(head, FINE_MM, order=1)


def turned(head: nib.Nifti1Image, number: int) -> nib.Nifti1Image:
    """A head on voxels of 1 mm whose grid is turned by 3 to 12 degrees about a random axis.

    Every other head by cubic splines and not linearly: what reads a scan does either.

    Args:
        head: as it is.
        number: of the head, which draws the grid.
    """
    random = np.random.default_rng(number)
    sides = np.asarray(head.header.get_zooms()[:3])
    shape = tuple(int(n) for n in np.ceil(sides * head.shape) + _MARGIN)
    axis = random.normal(size=3)
    turn = axis / np.linalg.norm(axis) * np.radians(random.uniform(3.0, 12.0))
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_rotvec(turn).as_matrix() @ (head.affine[:3, :3] / sides)
    middle = head.affine @ [*(np.asarray(head.shape) - 1) / 2, 1.0]
    corner = affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    affine[:3, 3] = middle[:3] + random.uniform(-0.5, 0.5, 3) - corner
    found = resample_from_to(head, (shape, affine), order=3 if number % 2 else 1)
    values = np.maximum(found.get_fdata(dtype=np.float32), 0.0)  # splines swing below zero
    return nib.Nifti1Image(values, affine)


def _kept(out: Path, make: Callable[[], nib.Nifti1Image]) -> Path:
    """An image's file, made unless it is there."""
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_name(f"part-{out.name}")
        nib.save(make(), part)
        part.rename(out)
    return out


def read(folder: Path, copies: Path) -> list[Cohort[Task]]:
    """The same scans by age and by sex: all heads as they are, all at 1 mm, all turned.

    Args:
        folder: `participants.tsv` with participant_id, age and sex, and NAME_T1w.nii.gz beside it.
        copies: where those of 1 mm are kept, in folders `fine` and `turned`.

    Raises:
        InputError: if the table lists none.
    """
    rows, ages, sexes = [], [], []
    for line, (path, cells) in enumerate(told(folder), 2):
        rows.append(Row(cells["participant_id"], path, None, 0.0, SITE, line))
        ages.append(float(cells["age"]))
        sexes.append(float(cells["sex"] == "M"))
    if not rows:
        raise InputError(f"{folder / 'participants.tsv'} lists no heads")
    heads = [nib.load(row.image) for row in rows]
    makers = {
        "fine": [partial(finer, head) for head in heads],
        "turned": [partial(turned, head, i) for i, head in enumerate(heads)],
    }
    rows += [
        replace(row, image=_kept(copies / kind / row.image.name, make))
        for kind, made in makers.items()
        for row, make in zip(rows, made, strict=True)
    ]
    aged = Cohort(folder / "participants.tsv", AGE, rows).relabelled(ages * 3)
    return [aged, replace(aged, task=SEX).relabelled(sexes * 3)]
