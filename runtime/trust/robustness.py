"""Robustness: how far a bundle's outputs move when the same head is seen otherwise, as plain data.

A bundle's manifest may name a file `robustness`: what `python -m benchmarks.robustness` measured,
put there by `fmtool bundle robustness`. Its sentences stand in the model card and in each result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fmtool import plain_json
from fmtool.bundle import Bundle
from fmtool.errors import BundleError

FILE = "robustness.json"
"""Its usual name inside a bundle."""

FORMAT = 1

WRONG = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What `sentences` may raise of data that `benchmarks.robustness` did not write."""


def read(bundle: Bundle) -> list[str]:
    """The bundle's sentences; none of a bundle that was not measured.

    Raises:
        BundleError: if the file is damaged.
    """
    name = bundle.manifest.robustness
    if name is None:
        return []
    path = bundle.file(name)
    try:
        return sentences(plain_json.loads(bundle.read(name)))
    except WRONG as error:
        raise BundleError(f"{path} is damaged ({error}); measure the bundle again") from None


def sentences(found: Mapping[str, Any]) -> list[str]:
    """What was measured, on what, and for each output how far it moves.

    Args:
        found: by `benchmarks.robustness.summary.summary`.

    Raises:
        WRONG: for data that it did not write.
    """
    if found["format"] != FORMAT:
        raise ValueError(f"its format is {found['format']!r}, not {FORMAT}")
    rows = found["perturbations"]
    said = [
        f"Measured with {found['engine']} on {int(found['heads'])} heads of the sets "
        f"{', '.join(map(str, found['sets']))}, each seen in {len(rows)} other ways; medians over "
        "the heads."
    ]
    for task, error in found["errors"].items():
        unit = str(error["unit"])
        known = [(r, r["outputs"][task]) for r in rows if r["outputs"].get(task)]
        judged = [(r, shift) for r, shift in known if r["judged"]]
        if judged:
            said.append(
                f"{task}: posed otherwise in the scanner or resampled to 0.8 to 1.2 mm it moves by "
                f"at most {_most(judged, unit)}; of everything tried by {_most(known, unit)}. "
                f"The middle half of the heads' own values spans {_span(found['values'][task])} "
                f"{unit}."
            )
    apart = [(r, r["embedding"]) for r in rows if r["embedding"]]
    judged = [(r, spread) for r, spread in apart if r["judged"]]
    if judged:
        said.append(
            f"The embedding moves by at most {_share(judged)} of the median distance between two "
            f"subjects for those, of everything tried by {_share(apart)}."
        )
    refused = [
        f"{r['name']} {int(r['refused'])} of {int(r['heads'])}" for r in rows if r["refused"]
    ]
    if refused:
        said.append(f"Refused by a check: {'; '.join(refused)}.")
    noticed = [
        f"{r['name']} {int(r['warned'])} of {int(r['heads'])}"
        for r in rows
        if r.get("warned") is not None and _strong(r, float(found["bar"]))
    ]
    if noticed:
        said.append(
            f"Heads warned of where an output moves by more than {float(found['bar']):.0%} of its "
            f"error: {'; '.join(noticed)}; as they are {int(found['warned'])}."
        )
    return said


def _strong(row: Mapping[str, Any], bar: float) -> bool:
    """Whether an output moves by more than the bar."""
    shares = [shift["share"] for shift in row["outputs"].values() if shift]
    return any(share is not None and float(share) > bar for share in shares)


def _most(shifts: list[tuple[Mapping[str, Any], Mapping[str, Any]]], unit: str) -> str:
    """The largest median shift, its share of the cross-validated error, and what causes it."""
    row, shift = max(shifts, key=lambda pair: float(pair[1]["median"]))
    share = shift["share"]
    of_error = "" if share is None else f", {float(share):.0%} of its cross-validated error"
    return f"{float(shift['median']):.2g} {unit} ({row['name']}{of_error})"


def _span(values: Mapping[str, Any]) -> str:
    """How far the output differs from head to head at all: a constant is robust, too."""
    return f"{float(values['q3']) - float(values['q1']):.2g}"


def _share(spreads: list[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> str:
    row, spread = max(spreads, key=lambda pair: float(pair[1]["median"]))
    return f"{float(spread['median']):.0%} ({row['name']})"
