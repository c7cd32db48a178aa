"""IXI's Hammersmith heads as the cohorts of the demonstration's two tasks, each in two resolutions.

The heads have voxels of 2 mm, a site's of 1 mm: resampled, a head is more blurred and less noisy,
its z-scores are spread wider, and a linear model of 2 mm heads alone takes that for years of age.
So each head has a copy of 1 mm, of the same person: no fold parts them, and the model has to find
what both show.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
from nibabel.processing import resample_to_output

from benchmarks.sites.embed import told
from export.parts.card import WEIGHTS_LICENCE
from fmtool.errors import InputError
from fmtool.task import AGE, SEX, Task
from training.cohort import Cohort, Row

SITE = "IXI-HH"

FINE_MM = 1.0

CREDIT = (
    "Made from the IXI data set (brain-development.org): encoder and heads are licensed under CC "
    f"BY-SA 3.0, see {WEIGHTS_LICENCE}"
)

LICENCE = f"""\
The weights of this bundle's encoder and heads were made from T1-weighted images of the IXI data set
(site {SITE}, https://brain-development.org/ixi-dataset/), which its makers publish under Creative
Commons Attribution-ShareAlike 3.0 Unported. These weights, unlike fmtool's code, are therefore
licensed under the same terms: https://creativecommons.org/licenses/by-sa/3.0/legalcode

Credit: IXI data set, brain-development.org. The images were prepared, and a network and linear
models were fitted on them; no image is enclosed. The makers of IXI endorse neither fmtool nor this
bundle.
"""


def finer(head: Path, folder: Path) -> Path:
    """A head on voxels of 1 mm, by trilinear interpolation; not made again where it is."""
    out = folder / head.name
    if not out.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"part-{head.name}"
        nib.save(resample_to_output(nib.load(head), FINE_MM, order=1), part)
        part.rename(out)
    return out


def read(folder: Path, copies: Path) -> list[Cohort[Task]]:
    """The same scans by age and by sex: all heads as they are, and then all again at 1 mm.

    Args:
        folder: `participants.tsv` with participant_id, age and sex, and NAME_T1w.nii.gz beside it.
        copies: where those of 1 mm are kept.

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
    rows += [replace(row, image=finer(row.image, copies)) for row in rows]
    aged = Cohort(folder / "participants.tsv", AGE, rows).relabelled(ages * 2)
    return [aged, replace(aged, task=SEX).relabelled(sexes * 2)]
