"""How far labels and sites go together: what a model could learn of the scanner."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocols.study import Study
from training.evidence import evaluate

Array = NDArray[np.float64]

ALIKE = 0.6


def tells(labels: Array, others: Array) -> float:
    """The AUC, 0.5 or above, with which a label alone tells two sites' scans apart."""
    where = np.r_[np.zeros(len(labels)), np.ones(len(others))]
    found = evaluate.auc(where, np.r_[labels, others])
    return max(found, 1.0 - found)


def warning(source: Study, target: Study) -> str:
    """One sentence or two on the labels of both, with figures."""
    alike = tells(source.labels, target.labels)
    if source.task.kind == "binary":
        assert source.task.classes is not None
        shares = (float(s.labels.mean()) for s in (source, target))
        one, other = (f"{share:.0%} {source.task.classes[1]}" for share in shares)
    else:
        one, other = (
            f"{s.labels.mean():.1f} +- {s.labels.std():.1f} {s.task.unit}" for s in (source, target)
        )
    told = (
        f"Labels: {one} in {source.name}, {other} in {target.name}; a label alone tells the two "
        f"apart with an AUC of {alike:.2f}."
    )
    if alike <= ALIKE:
        return told
    return (
        f"WARNING: label and site go together. {told} An error out of distribution then mixes "
        "the change of scanner with the change of people, and a model trained on both would learn "
        "the scanner."
    )


def spread_within(study: Study) -> str | None:
    """A warning where several sites of a training study differ in their labels; else None."""
    labels, worst = study.labels, (0.5, "", "")
    names = list(study.sites)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            told = tells(labels[study.sites[first]], labels[study.sites[second]])
            worst = max(worst, (told, first, second))
    if worst[0] <= ALIKE:
        return None
    return (
        f"WARNING: within the training scans label and site go together: a label alone tells "
        f"{worst[1]} from {worst[2]} with an AUC of {worst[0]:.2f}; the figure in distribution may "
        "be the scanner's."
    )
