"""Head: one affine map from the raw embedding to one task, with the evidence for it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fmtool import __version__, plain_json
from fmtool.bundle import sites
from fmtool.bundle.exposure import UNKNOWN, Exposure
from fmtool.errors import InputError
from fmtool.task import Task
from runtime.system import atomic
from runtime.trust import Trust, ordinal
from runtime.trust.folds import array
from training.harmonise.maps import Harmonised

_FORMAT = 1

Linear = tuple[NDArray[np.float64], float | NDArray[np.float64]]
"""Weight (F,) and bias of a head; (K, F) and (K,) of a multiclass one's K logits; (F,) and (K - 1,)
of an ordinal one, whose biases are those of its steps (`runtime.trust.ordinal`)."""


@dataclass
class Head:
    """What a linear probe leaves behind; plain data.

    Attributes:
        task: what it predicts.
        weight: (F,), per unit of each feature of the embedding: in the task's unit (regression)
            or as log-odds of class 1 (binary), or of one class more (ordinal); (K, F) of a
            multiclass task, as a logit of each class.
        bias: in the same unit; (K,) of K classes.
        evidence: how well it did and against what; see `training.evidence`.
        encoder_sha256: digest of the encoder whose embeddings it reads.
        sample: whom it was fitted on: "n", "n_subjects", "label_range", "sites".
        trust: its intervals, calibration and novelty; None of a head without.
        exposure: whose scans and labels set the encoder's weights, and its own.
        thresholds: (K - 1,) of an ordinal task, on the score, from the lowest; see
            `runtime.trust.ordinal`.
        harmonised: of a head on harmonised embeddings, which its weights and trust are for; see
            `training.evidence.served`.
    """

    task: Task
    weight: NDArray[np.float64]
    bias: float | NDArray[np.float64]
    evidence: dict[str, Any]
    encoder_sha256: str
    sample: dict[str, Any] = field(default_factory=dict)
    trust: Trust | None = None
    exposure: Exposure = UNKNOWN
    thresholds: tuple[float, ...] | None = None
    harmonised: Harmonised | None = None

    @classmethod
    def of(cls, task: Task, linear: Linear, *rest: Any) -> Head:
        """A head of what was fitted; `rest` is as in the class."""
        weight, bias = linear
        if task.kind != "ordinal":
            return cls(task, weight, bias, *rest)
        level, thresholds = ordinal.centred(np.asarray(bias))
        return replace(cls(task, weight, level, *rest), thresholds=thresholds)

    def __call__(self, embeddings: ArrayLike) -> NDArray[np.float64]:
        """(..., F) -> (...): the regression's value, the logit of class 1, or the ordinal score;
        (..., K) of K classes."""
        return np.asarray(np.asarray(embeddings, dtype=np.float64) @ self.weight.T + self.bias)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the head as JSON: complete, or not at all; an older head is replaced.

        Raises:
            InputError: if the file cannot be written.
        """
        target = Path(path)
        content = {
            "format": _FORMAT,
            "fmtool": __version__,
            "task": self.task.to_dict(),
            "encoder_sha256": self.encoder_sha256,
            "sample": self.sample,
            "evidence": self.evidence,
            "bias": np.asarray(self.bias, dtype=np.float64).tolist(),
            "weight": np.asarray(self.weight, dtype=np.float64).tolist(),
            **({"thresholds": list(self.thresholds)} if self.thresholds else {}),
            "trust": self.trust.to_dict() if self.trust else None,
            "exposure": self.exposure.to_dict(),
            **({"harmonised": self.harmonised.to_dict()} if self.harmonised else {}),
        }
        text = json.dumps(content, indent=1, allow_nan=False) + "\n"
        atomic.write_bytes(target, text.encode())
        return target


def load(path: str | os.PathLike[str]) -> Head:
    """Read a head that `Head.save` wrote.

    Raises:
        InputError: if the file is missing, damaged or of another format.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"head {path} does not exist; `fmtool train probe` makes one")
    try:
        content = plain_json.loads(path.read_bytes())
        if content["format"] != _FORMAT:
            raise InputError(
                f"head {path} has format {content['format']!r:.60}; this fmtool reads 1"
            )
        sites.check(dict(content["evidence"]), "evidence")
        trust = content.get("trust")  # absent from heads of earlier versions
        by_site = content.get("harmonised")
        bias, given = np.array(content["bias"], dtype=np.float64), content.get("thresholds")
        head = Head(
            task=Task.from_dict(content["task"]),
            weight=np.array(content["weight"], dtype=np.float64),
            bias=bias if bias.ndim else float(bias),
            evidence=dict(content["evidence"]),
            encoder_sha256=str(content["encoder_sha256"]),
            sample=dict(content["sample"]),
            trust=Trust.from_dict(trust) if trust else None,
            exposure=Exposure.from_dict(content.get("exposure")),
            thresholds=None if given is None else tuple(array(given).ravel().tolist()),
            harmonised=Harmonised.from_dict(by_site) if by_site else None,
        )
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"head {path} is damaged ({error}); fit it again") from None
    several = (head.task.outputs,) if head.task.kind == "multiclass" else ()
    if head.weight.shape[:-1] != several or np.shape(head.bias) != several:
        raise InputError(f"head {path} is damaged: its weights are of other classes than its task")
    if not head.task.parted_by(head.thresholds):
        raise InputError(f"head {path} is damaged: its thresholds are not those of its classes")
    folds = len(head.trust.folds.bias) if head.trust else 0
    told = bool(head.evidence.get("harmonised")) == bool(head.harmonised)
    fits = head.harmonised is None or head.harmonised.fits(head.weight.shape[-1], folds)
    if not told or not fits:
        raise InputError(f"head {path} is damaged: its sites' maps are of other embeddings")
    if not np.isfinite([*head.weight.ravel(), *np.ravel(head.bias)]).all():
        raise InputError(f"head {path} is damaged: its weights are not finite numbers")
    return head
