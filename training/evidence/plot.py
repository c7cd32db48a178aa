"""A head's out-of-fold predictions as a figure: PNG and SVG.

A regression: predicted against true with each scan's interval and the identity, and the residual
over the truth. Two classes: the ROC of each fold with their mean, and how often a probability
holds. More: how often which is taken for which, and the ROC of each against the rest, or of classes
in an order of those beyond each step.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fmtool.errors import CapabilityError
from fmtool.task import Task
from runtime.system import atomic
from training.evidence import evaluate
from training.evidence.conformal import Array

if TYPE_CHECKING:
    from runtime.report.rows import Record

_FULL, _SOFT, _LINE = "#00695c", "#9e9e9e", "#333333"
_BINS = 10
_LEAST = 5  # scans behind a point of a reliability curve
_FLIP = 0.6  # of a matrix's cell: darker ones carry white numbers


def check_matplotlib() -> None:
    """Whether figures can be drawn here: asked before hours of work, not after.

    Raises:
        CapabilityError: if not, with the way.
    """
    if find_spec("matplotlib") is None:
        raise CapabilityError(
            "--plot needs matplotlib; install it with `pip install 'fmtool[plot]'`"
        )


def draw(out: Path, rows: Sequence[Record], task: Task, evidence: Mapping[str, Any]) -> list[Path]:
    """Draw the figure; its two files.

    Args:
        out: the head or child bundle that it stands beside.
        rows: by `training.evidence.out_of_fold.rows`.
        task: the head's.
        evidence: the head's.

    Raises:
        InputError: if a file cannot be written.
    """
    import matplotlib
    from matplotlib.figure import Figure  # pyplot would keep each figure, and ask for a screen

    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    kinds = {"regression": _regression, "binary": _classes}
    kinds.get(task.kind, _several)(figure.subplots(1, 2), rows, task, evidence)
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    paths = []
    with matplotlib.rc_context({"svg.hashsalt": "fmtool", "svg.fonttype": "none"}):
        for kind, told in (("png", {"Software": None}), ("svg", {"Date": None})):
            content = io.BytesIO()
            figure.savefig(content, format=kind, dpi=200, metadata=told)
            paths.append(out.with_name(f"{out.stem}.{kind}"))
            atomic.write_bytes(paths[-1], content.getvalue())
    return paths


def _title(evidence: Mapping[str, Any]) -> str:
    low, high = evidence["interval"]
    unit = f" {evidence['unit']}" if evidence["unit"] else ""
    repeats = evidence.get("repeats", 1)
    over = f", mean of {repeats}" if repeats > 1 else ""
    return f"{evidence['metric']} {evidence['value']:.2f} ({low:.2f} to {high:.2f}){unit}{over}"


def _regression(axes: Any, rows: Sequence[Record], task: Task, evidence: Mapping[str, Any]) -> None:
    truth, predicted = (np.array([row[n] for row in rows]) for n in ("truth", "predicted"))
    left, right = axes
    limited = [row for row in rows if row["low"] is not None]
    left.vlines(
        [row["truth"] for row in limited],
        [row["low"] for row in limited],
        [row["high"] for row in limited],
        color=_SOFT,
        lw=0.7,
        alpha=0.6,
        label="90 % interval",
    )
    repeats = evidence.get("repeats", 1)
    drawn = f"out of fold, the first of {repeats}" if repeats > 1 else "out of fold"
    left.plot(truth, predicted, "o", ms=3.5, color=_FULL, label=drawn)
    ends = [float(truth.min()), float(truth.max())]
    left.plot(ends, ends, color=_LINE, lw=0.9, ls="--", label="identity")
    left.set(xlabel=f"true {task.name} ({task.unit})", ylabel=f"predicted {task.name}")
    left.set_title(_title(evidence), fontsize=10)
    left.legend(frameon=False, fontsize=8)
    residual = predicted - truth
    right.axhline(0.0, color=_LINE, lw=0.9, ls="--")
    right.plot(truth, residual, "o", ms=3.5, color=_FULL)
    slope, offset = np.polyfit(truth, residual, 1)
    right.plot(ends, [slope * t + offset for t in ends], color="#c62828", lw=1.1)
    right.set(xlabel=f"true {task.name} ({task.unit})", ylabel="predicted - true")
    right.set_title(f"residual, slope {slope:.2f}", fontsize=10)


def _classes(axes: Any, rows: Sequence[Record], task: Task, evidence: Mapping[str, Any]) -> None:
    assert task.classes is not None
    second = task.classes[1]
    truth = np.array([float(row["truth"] == second) for row in rows])
    logit, fold = (np.array([row[n] for row in rows]) for n in ("logit", "fold"))
    left, right = axes
    curves = [roc(truth[own], logit[own]) for own in _both(truth, fold)]
    for curve in curves:
        left.plot(*curve, color=_SOFT, lw=0.7)
    _mean(left, curves, "mean", _FULL)
    _chance(left, evidence)
    known = all(row["probability"] is not None for row in rows)
    chance = np.array([row["probability" if known else "predicted"] for row in rows])
    for said, share, low, high in reliability(truth, chance):
        right.plot([said, said], [low, high], color=_SOFT, lw=0.9)
        right.plot(said, share, "o", ms=4.5, color=_FULL)
    right.plot([0, 1], [0, 1], color=_LINE, lw=0.9, ls="--")
    what = "calibrated" if known else "uncalibrated"
    right.set(xlabel=f"{what} probability of {second}", ylabel=f"share of {second}")
    right.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    right.set_title("reliability, 95 % intervals", fontsize=10)


def _several(axes: Any, rows: Sequence[Record], task: Task, evidence: Mapping[str, Any]) -> None:
    left, right = axes
    names, table = task.classes or (), np.array(evidence["confusion"])
    left.imshow(table, cmap="Greens", vmin=0.0, vmax=1.0)
    for (row, column), share in np.ndenumerate(table):
        colour = "white" if share > _FLIP else _LINE
        left.text(column, row, f"{share:.2f}", ha="center", va="center", color=colour, fontsize=9)
    left.set_xticks(range(len(names)), names)
    left.set_yticks(range(len(names)), names)
    left.set(xlabel=f"predicted {task.name}", ylabel=f"true {task.name}")
    balanced = evidence["balanced_accuracy"]
    low, high = balanced["interval"]
    said = f"balanced accuracy {balanced['value']:.2f} ({low:.2f} to {high:.2f})"
    left.set_title(said, fontsize=10)
    fold = np.array([row["fold"] for row in rows])
    ordered = task.kind == "ordinal"
    for number, name in enumerate(names[:-1] if ordered else names):
        own_side = names[number + 1 :] if ordered else (name,)
        truth = np.array([float(row["truth"] in own_side) for row in rows])
        score = np.array([row["score" if ordered else f"predicted_{name}"] for row in rows])
        curves = [roc(truth[own], score[own]) for own in _both(truth, fold)]
        _mean(right, curves, f"beyond {name}" if ordered else f"{name} or not", f"C{number}")
    _chance(right, evidence)


def _both(truth: Array, fold: Array) -> list[Array]:
    """The scans of each fold that tests both classes: a head's scores are on its own scale."""
    own = [fold == number for number in np.unique(fold)]
    return [some for some in own if 0.0 < truth[some].mean() < 1.0]


def _mean(axis: Any, curves: Sequence[tuple[Array, Array]], label: str, colour: str) -> None:
    at = np.linspace(0.0, 1.0, 201)
    if curves:
        mean = np.mean([np.interp(at, *curve) for curve in curves], axis=0)
        axis.plot([0.0, *at], [0.0, *mean], color=colour, lw=1.8, label=label)


def _chance(axis: Any, evidence: Mapping[str, Any]) -> None:
    axis.plot([0, 1], [0, 1], color=_LINE, lw=0.9, ls="--", label="chance")
    axis.set(xlabel="1 - specificity", ylabel="sensitivity", aspect="equal")
    axis.set_title(_title(evidence), fontsize=10)
    axis.legend(frameon=False, fontsize=8, loc="lower right")


def roc(truth: Array, score: Array) -> tuple[Array, Array]:
    """False and true positive rates at every threshold, from (0, 0) to (1, 1); ties move together.

    Args:
        truth: (n,), 0 or 1, both there.
        score: (n,), larger for 1.
    """
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.diff(score[order], append=-np.inf))
    true = np.cumsum(truth[order])[last] / truth.sum()
    false = np.cumsum(1.0 - truth[order])[last] / (1.0 - truth).sum()
    return np.concatenate([[0.0], false]), np.concatenate([[0.0], true])


def reliability(truth: Array, chance: Array) -> list[tuple[float, float, float, float]]:
    """Of scans in bins of equal size: the mean probability, the share of class 1, its interval."""
    order = np.argsort(chance, kind="stable")
    count = max(1, min(_BINS, len(chance) // _LEAST))
    found = []
    for own in np.array_split(order, count):
        share = float(truth[own].mean())
        found.append((float(chance[own].mean()), share, *evaluate.share_interval(share, len(own))))
    return found
