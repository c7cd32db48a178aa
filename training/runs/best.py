"""The best epoch by validation: its weights kept on disk, found again by a resumed run.

Source: 3D-Neuro-SimCLR (arXiv 2509.10620): AUC decides for a binary task, the mean squared error
for a regression; for several classes the macro AUC does, or the C-index if they have an order. Of
several tasks their mean skill does, which is 2 AUC - 1, or 1 - MSE / s^2 with s the deviation of
the training labels: 1 is perfect, 0 knows nothing. The first of equal epochs is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch

from fmtool.errors import InputError
from runtime.system import atomic
from training import evidence
from training.cohort.prepared import PreparedCohort
from training.evidence import evaluate
from training.joint import Joint
from training.supervised import Supervised

WEIGHTS = "best.safetensors"
_KEY = "best"


class Best:
    """Validates after each epoch; an `OnEpoch` of `training.fit.loop`.

    Args:
        recipe: whose network is trained; with several tasks, the `Joint` one.
        validation: the scans that choose; of each task.
        folder: of the run.
        writes: False in the processes that leave the files to another.

    Raises:
        InputError: if there are no scans, or none of a class.
    """

    def __init__(
        self,
        recipe: Supervised | Joint,
        validation: PreparedCohort | Sequence[PreparedCohort],
        folder: Path,
        writes: bool = True,
    ) -> None:
        self._network, self._path, self._writes = recipe.network, folder / WEIGHTS, writes
        tasks = recipe.parts if isinstance(recipe, Joint) else [recipe]
        cohorts = [validation] if isinstance(validation, PreparedCohort) else validation
        self._pairs = list(zip(tasks, cohorts, strict=True))
        for part, cohort in self._pairs:
            _check(part, cohort)

    def __call__(
        self, epoch: int, means: dict[str, float], record: dict[str, Any]
    ) -> dict[str, float]:
        """Validate; keep the weights if no earlier epoch was as good."""
        found = [_figures(part, cohort) for part, cohort in self._pairs]
        if len(found) == 1:
            (figures,) = found
            score = figures.get("validation_auc", -figures.get("validation_mse", 0.0))
        else:
            tasks = [part.task.name for part, _ in self._pairs]
            pairs = zip(tasks, found, strict=True)
            figures = {f"{name}_{t}": value for t, one in pairs for name, value in one.items()}
            skills = [_skill(p, one) for (p, _), one in zip(self._pairs, found, strict=True)]
            score = figures["validation_skill"] = float(np.mean(skills))
        if _KEY not in record or score > record[_KEY]["score"]:
            record[_KEY] = {"epoch": epoch, "score": score}
            if self._writes:
                state = self._network.state_dict()
                plain = {n: t.detach().cpu().contiguous().clone() for n, t in state.items()}
                atomic.write_bytes(self._path, safetensors.torch.save(plain))
        return figures

    def restore(self, record: dict[str, Any]) -> int:
        """Put the best epoch's weights into the network; its number is the answer."""
        self._network.load_state_dict(safetensors.torch.load_file(self._path))
        return int(record[_KEY]["epoch"])


def _check(part: Supervised, validation: PreparedCohort) -> None:
    if not validation.rows:
        raise InputError("there are no validation scans to choose the best epoch by")
    names = part.task.classes or ()
    absent = [name for c, name in enumerate(names) if not (validation.labels == c).any()]
    if absent:
        raise InputError(
            f"no validation scan of {part.task.name} is of class {absent[0]}: no AUC can "
            "choose the best epoch; split again with more of them"
        )


def _figures(part: Supervised, validation: PreparedCohort) -> dict[str, float]:
    predicted, labels = part.predict(validation.entries), validation.labels
    if part.task.kind == "binary":
        return {"validation_auc": evaluate.auc(labels, predicted)}
    if part.task.several:
        return {"validation_auc": evidence.figure(validation, predicted[None])}
    return {
        "validation_mse": float(np.square(predicted - labels).mean()),
        "validation_mae": evaluate.mae(labels, predicted),
    }


def _skill(part: Supervised, figures: dict[str, float]) -> float:
    if "validation_auc" in figures:
        return 2.0 * figures["validation_auc"] - 1.0
    return 1.0 - figures["validation_mse"] / part.scale**2
