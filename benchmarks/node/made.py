"""Made-up answers with real documents, and the small heads that they are about."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from benchmarks.packages.made_series import write
from fmtool import bundle as bundles
from fmtool.task import AGE
from runtime import scan
from runtime.attribution import Attribution, placed
from runtime.preprocess.pipeline import Prepared
from runtime.result import Prediction, Result
from runtime.service.answer import AnsweredBy, Order, Outcome, answered
from runtime.service.node.documents import documents
from runtime.system.child import GiveUp


class MadeUp:
    """Who answers: nothing is predicted, and all documents are made."""

    about = AnsweredBy("none", "ab" * 32, "none")
    alive = True

    def ensure(self) -> None:
        """It is there."""

    def __call__(self, order: Order, give_up: GiveUp) -> Outcome:
        """The same answer for every head."""
        return answered(order, _result, partial(documents, fhir=True), cast(Any, None))


def _result(folder: Path) -> Result:
    head = scan.read(folder)
    brain = head.array > np.median(head.array)
    prepared = Prepared(
        head.array, brain, np.eye(4), head.array, brain, head.affine, {"brain_volume_ml": 1.0}
    )
    values = np.random.default_rng(0).normal(size=(10, 12, 12)).astype(np.float32)
    shown = Attribution(values, float(values.mean()), None, placed(values.shape, None))
    evidence = {"metric": "MAE", "value": 7.0, "unit": "years", "beats_baseline": True}
    about = {"name": "none", "digest": "ab" * 32, "demonstration": True, "limits": []}
    return Result(
        scan=folder.name,
        predictions={"age": Prediction(AGE, 40.0, evidence, [])},
        embedding=np.zeros(4, np.float32),
        quality=[],
        prepared=prepared,
        bundle=about,
        engine="none",
        facts={"brain_volume_ml": 1.0},
        timings={"total": 0.0},
        maps={"age": shown},
        stack=head.stack,
    )


def series(folder: Path, seed: int) -> list[Dataset]:
    """A head of few voxels, another for each seed."""
    template = nib.load(bundles.DEMO / "template.nii.gz")
    voxels = np.asarray(template.dataobj, dtype=np.float32)[::4, ::4, ::4] + seed % 7
    volume = folder.with_suffix(".nii")
    nib.save(nib.Nifti1Image(voxels, template.affine @ np.diag([4, 4, 4, 1.0])), volume)
    write(volume, folder)
    return [dcmread(file) for file in sorted(folder.iterdir())]
