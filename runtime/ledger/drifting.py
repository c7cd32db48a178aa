"""A ledger's last answers beside the calibration of the bundle that gives them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fmtool.errors import LedgerError
from runtime.ledger.ledger import Ledger
from runtime.ledger.outcomes import latest
from runtime.trust import drift
from runtime.trust.drift import Drift, SiteReference

_NAME = "reference"

Truths = Callable[[Sequence[str]], tuple[str, Mapping[int, float]]]
"""From the scans' names: a task, and the truth of those that have a label, by position."""


def remember(ledger: Ledger, bundle: str, reference: SiteReference | None) -> None:
    """Keep whose answers are looked at, so that whoever asks later needs no bundle.

    Args:
        ledger: to be written.
        bundle: the digest of the bundle that answers from now on.
        reference: its own; None of a bundle without.
    """
    known = reference.to_dict() if reference else None
    ledger.keep(_NAME, json.dumps({"bundle": bundle, "reference": known}, allow_nan=False))


def drifting(ledger: Ledger, truths: Truths | None = None) -> Drift | None:
    """Whether the last answers drifted; None where that cannot be told: see `drift.look`.

    Raises:
        LedgerError: if what the ledger keeps is damaged.
    """
    text = ledger.kept(_NAME)
    if text is None:
        return None
    try:
        kept = json.loads(text)
        known = kept["reference"] and SiteReference.from_dict(kept["reference"])
        bundle = str(kept["bundle"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LedgerError(
            f"the ledger {ledger.path} is damaged: its reference cannot be read ({error}); start "
            "the service again"
        ) from None
    if not known:
        return None
    last = latest(ledger, bundle, drift.LAST)
    return drift.look(known, last, _errors(last, truths) if truths else None)


def _errors(last: Sequence[Mapping[str, Any]], truths: Truths) -> dict[str, list[float]]:
    """Truth less value of the answers that have a label by now."""
    task, labels = truths([str(result["scan"]) for result in last])
    answers = {i: last[i]["values"].get(task) for i in labels}
    return {task: [labels[i] - a["value"] for i, a in answers.items() if a is not None]}
