"""IXI's Hammersmith heads as the cohorts of the demonstration's two tasks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.sites.embed import told
from export.parts.card import WEIGHTS_LICENCE
from fmtool.errors import InputError
from fmtool.task import AGE, SEX, Task
from training.cohort import Cohort, Row

SITE = "IXI-HH"

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


def read(folder: Path) -> list[Cohort[Task]]:
    """The same scans by age and by sex.

    Args:
        folder: `participants.tsv` with participant_id, age and sex, and NAME_T1w.nii.gz beside it.

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
    aged = Cohort(folder / "participants.tsv", AGE, rows).relabelled(ages)
    return [aged, replace(aged, task=SEX).relabelled(sexes)]
