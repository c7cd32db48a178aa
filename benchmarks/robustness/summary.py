"""From rows to figures: how far each output moves, and against what that is much or little."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.robustness.measure import HeadOutputs, Output, distance
from benchmarks.robustness.perturbations import ALL, Perturbation

BAR = 0.1
"""Of an output's cross-validated error: the most that a judged perturbation may move it, median."""

FORMAT = 1


def summary(
    rows: Sequence[HeadOutputs],
    outputs: Sequence[Output],
    facts: Mapping[str, Any],
    skipped: Mapping[str, str],
    perturbations: Iterable[Perturbation] = ALL,
) -> dict[str, Any]:
    """Plain data: what `runtime.trust.robustness` reads from a bundle.

    Args:
        rows: by `measure.HeadBench.rows`.
        outputs: what was watched.
        facts: about the bundle, the engine and the version.
        skipped: other tools that were not compared, and why.
        perturbations: those that were tried.
    """
    base = {row.head: row for row in rows if not row.name}
    apart = between([row for row in rows if not row.name])
    groups = {one.name: (one.group, one.judged) for one in perturbations}
    names = dict.fromkeys(row.name for row in rows if row.name)
    found = []
    for name in names:
        group, judged = groups.get(name, ("other tool", False))
        mine = [row for row in rows if row.name == name]
        moved = [(row, base[row.head]) for row in mine if not row.refused]
        found.append(
            {
                "name": name,
                "group": group,
                "judged": judged,
                "heads": len(mine),
                "refused": len(mine) - len(moved),
                "warned": _warned(mine),
                "outputs": {o.task: _shift(o, moved) for o in outputs},
                "embedding": _spread([distance(a.embedding, b.embedding) / apart for a, b in moved])
                if apart
                else None,
                "brain_volume_percent": _spread(_volumes(moved)),
            }
        )
    return {
        "format": FORMAT,
        **facts,
        "heads": len(base),
        "warned": _warned(base.values()),
        "sets": sorted({head.split("/")[0] for head in base}),
        "bar": BAR,
        "errors": {o.task: {"error": o.error, "unit": o.unit} for o in outputs},
        "values": {o.task: _range([row.values[o.task] for row in base.values()]) for o in outputs},
        "between_subjects": apart,
        "perturbations": found,
        "skipped": dict(skipped),
    }


def between(rows: Sequence[HeadOutputs]) -> float | None:
    """The median distance of two subjects' embeddings, within sets; None of fewer than two."""
    pairs = [
        distance(a.embedding, b.embedding)
        for a, b in itertools.combinations(rows, 2)
        if a.head.split("/")[0] == b.head.split("/")[0]
    ]
    return float(np.median(pairs)) if pairs else None


def _shift(
    output: Output, moved: Sequence[tuple[HeadOutputs, HeadOutputs]]
) -> dict[str, Any] | None:
    """The absolute shift in the output's unit, over heads, and its share of the error."""
    shifts = _spread([abs(a.values[output.task] - b.values[output.task]) for a, b in moved])
    if shifts is None:
        return None
    share = shifts["median"] / output.error if output.error else None
    return {**shifts, "share": share}


def _warned(rows: Iterable[HeadOutputs]) -> int | None:
    """How many of them a check warns of; None where none was asked."""
    asked = [bool(row.warned) for row in rows if row.warned is not None]
    return sum(asked) if asked else None


def _volumes(moved: Sequence[tuple[HeadOutputs, HeadOutputs]]) -> list[float]:
    """How much the brain volume changes, per cent; of other tools' masks none is told."""
    pairs = [(a.brain_volume_ml, b.brain_volume_ml) for a, b in moved]
    return [100.0 * abs(a / b - 1.0) for a, b in pairs if np.isfinite(a)]


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        "median": float(np.median(values)),
        "q3": float(np.quantile(values, 0.75)),
        "max": float(np.max(values)),
    }


def _range(values: Sequence[float]) -> dict[str, float]:
    """How much the output differs from head to head at all."""
    low, high = np.quantile(values, [0.25, 0.75])
    return {"median": float(np.median(values)), "q1": float(low), "q3": float(high)}
