"""The refusals that stand in a prepared folder: who reads it is told what its maker was told."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from fmtool import plain_json
from fmtool.errors import InputError
from runtime.quality.check import Check

FILE = "preprocess.json"
KEY = "checks"

_MOST_BYTES = 1 << 20


def refusals(folder: Path) -> list[Check]:
    """The checks that refused the scan from which `fmtool preprocess` made a folder.

    Args:
        folder: with TurboPrep's files; without a `FILE` of ours, none are known.

    Raises:
        InputError: if the file is damaged: whether the scan was refused cannot be told.
    """
    path = folder / FILE
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MOST_BYTES + 1)
        found = plain_json.loads(raw)
        if len(raw) > _MOST_BYTES:
            raise ValueError("too large")
        return [_check(each) for each in found.get(KEY, []) if each["verdict"] == "refuse"]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise InputError(
            f"{path} cannot be read as what `fmtool preprocess` wrote; prepare the scan again"
        ) from None


def _check(stored: dict[str, Any]) -> Check:
    name, unit, said = (str(stored[key]) for key in ("name", "unit", "sentence"))
    low, high = stored["range"]
    value = math.nan if stored["value"] is None else float(stored["value"])
    return Check(name, value, unit, (float(low), float(high)), "refuse", said)
