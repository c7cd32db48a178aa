"""The figures as a Markdown table, and whether the bar is met, a sentence for each output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def markdown(found: Mapping[str, Any]) -> str:
    """A table with a row for each perturbation.

    Args:
        found: by `summary.summary`.
    """
    tasks = list(found["errors"])
    heading = ["seen otherwise", *(f"{t}, {found['errors'][t]['unit']}" for t in tasks)]
    heading += ["embedding", "brain volume", "warned of", "refused"]
    lines = [_row(heading), _row(["---"] * len(heading))]
    for one in found["perturbations"]:
        cells = [f"{one['name']}{' *' if one['judged'] else ''}"]
        cells += [_shift(one["outputs"][task]) for task in tasks]
        cells += [_percent(one["embedding"], 100.0), _percent(one["brain_volume_percent"], 1.0)]
        cells += [_count(one[said], one["heads"]) for said in ("warned", "refused")]
        lines.append(_row(cells))
    as_they_are = _count(found["warned"], found["heads"])
    return "\n".join([*lines, "", f"Heads warned of as they are: {as_they_are}."]) + "\n"


def verdicts(found: Mapping[str, Any]) -> list[str]:
    """For each output, the judged perturbation that moves it most, and whether that is too far."""
    said = []
    for task, error in found["errors"].items():
        shares = {
            one["name"]: one["outputs"][task]["share"]
            for one in found["perturbations"]
            if one["judged"] and one["outputs"][task]
        }
        if error["error"] is None or not shares:
            said.append(f"{task}: the bundle holds no cross-validated error to judge it by.")
            continue
        worst = max(shares, key=lambda name: shares[name])
        verdict = "met" if shares[worst] <= found["bar"] else "MISSED"
        said.append(
            f"{task}: {verdict}: {worst} moves it most, by {shares[worst]:.1%} of its "
            f"cross-validated error ({error['error']:.3g} {error['unit']}), median of "
            f"{found['heads']} heads; the bar is {found['bar']:.0%}."
        )
    return said


def _shift(shift: Mapping[str, float] | None) -> str:
    """Median and largest, and the median's share of the error."""
    if shift is None:
        return "-"
    share = "" if shift["share"] is None else f" ({shift['share']:.1%})"
    return f"{shift['median']:.2g}{share}, at most {shift['max']:.2g}"


def _count(some: int | None, of: int) -> str:
    return "-" if some is None else f"{some} of {of}"


def _percent(spread: Mapping[str, float] | None, scale: float) -> str:
    if spread is None:
        return "-"
    value = scale * spread["median"]
    return f"{value:.0f} %" if value >= 10.0 else f"{value:.2g} %"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
