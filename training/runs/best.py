"""The best epoch by validation: its weights kept on disk, found again by a resumed run.

Source: 3D-Neuro-SimCLR (arXiv 2509.10620): AUC decides for a binary task, the mean squared error
for a regression; for several classes the macro AUC does. The first of equal epochs is kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
from numpy.typing import NDArray

from fmtool.errors import InputError
from runtime.system import atomic
from training import evidence
from training.cohort.prepared import PreparedCohort
from training.evidence import evaluate
from training.supervised import Supervised

WEIGHTS = "best.safetensors"
_KEY = "best"


class Best:
    """Validates after each epoch; an `OnEpoch` of `training.fit.loop`.

    Args:
        recipe: whose network is trained.
        validation: the scans that choose.
        folder: of the run.
        writes: False in the processes that leave the files to another.

    Raises:
        InputError: if there are no scans, or none of a class.
    """

    def __init__(
        self,
        recipe: Supervised,
        validation: PreparedCohort,
        folder: Path,
        writes: bool = True,
    ) -> None:
        self._recipe, self._path, self._writes = recipe, folder / WEIGHTS, writes
        self._entries, self._labels = validation.entries, validation.labels
        if not validation.rows:
            raise InputError("there are no validation scans to choose the best epoch by")
        self._cohort = validation
        names = recipe.task.classes or ()
        absent = [name for c, name in enumerate(names) if not (self._labels == c).any()]
        if absent:
            raise InputError(
                f"no validation scan of {recipe.task.name} is of class {absent[0]}: no AUC can "
                "choose the best epoch; split again with more of them"
            )

    def __call__(
        self, epoch: int, means: dict[str, float], record: dict[str, Any]
    ) -> dict[str, float]:
        """Validate; keep the weights if no earlier epoch was as good."""
        predicted = self._recipe.predict(self._entries)
        figures = self._figures(predicted)
        score = figures.get("validation_auc", -figures.get("validation_mse", 0.0))
        if _KEY not in record or score > record[_KEY]["score"]:
            record[_KEY] = {"epoch": epoch, "score": score}
            if self._writes:
                state = self._recipe.network.state_dict()
                plain = {n: t.detach().cpu().contiguous().clone() for n, t in state.items()}
                atomic.write_bytes(self._path, safetensors.torch.save(plain))
        return figures

    def _figures(self, predicted: NDArray[np.float64]) -> dict[str, float]:
        if self._recipe.task.kind == "binary":
            return {"validation_auc": evaluate.auc(self._labels, predicted)}
        if self._recipe.task.kind == "multiclass":
            return {"validation_auc": evidence.figure(self._cohort, predicted[None])}
        return {
            "validation_mse": float(np.square(predicted - self._labels).mean()),
            "validation_mae": evaluate.mae(self._labels, predicted),
        }

    def restore(self, record: dict[str, Any]) -> int:
        """Put the best epoch's weights into the network; its number is the answer."""
        self._recipe.network.load_state_dict(safetensors.torch.load_file(self._path))
        return int(record[_KEY]["epoch"])
