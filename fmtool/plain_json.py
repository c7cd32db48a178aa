"""JSON from files that others made: finite numbers, and text that can be shown, or none."""

from __future__ import annotations

import json
import math
from typing import Any

from fmtool.errors import UNSHOWN

_MOST_DIGITS = 18  # of a whole number: 64 bits


def loads(raw: bytes) -> Any:
    """The value that `raw` (UTF-8) describes.

    Raises:
        ValueError: if it is not JSON, nests too deeply, or holds a number or text that is neither
            to be computed with nor to be shown: NaN, infinity, 100 digits, a terminal's commands.
    """
    try:
        found = json.loads(
            raw.decode("utf-8"), parse_constant=_no_constant, parse_float=_float, parse_int=_int
        )
        _check(found)
    except RecursionError:
        raise ValueError("it nests too deeply") from None
    return found


def _check(value: Any) -> None:
    if isinstance(value, str):
        if UNSHOWN.search(value):
            raise ValueError(f"the text {value!a:.40} holds characters that cannot be shown")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check(key)
            _check(inner)
    elif isinstance(value, list):
        for inner in value:
            if not isinstance(inner, float):  # the bulk of a calibration
                _check(inner)


def _no_constant(word: str) -> Any:
    raise ValueError(f"the number {word} is not finite")


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits:.40} is not finite")
    return value


def _int(digits: str) -> int:
    if len(digits.lstrip("-")) > _MOST_DIGITS:
        raise ValueError(f"the number {digits:.40} is too large")
    return int(digits)
