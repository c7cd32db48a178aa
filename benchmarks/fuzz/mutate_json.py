"""Damage to JSON that stays JSON: a value of another kind, a key gone, renamed or nested deeply."""

from __future__ import annotations

import json
import random
from typing import Any

_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 0.5, -0.0, 1e308, -1e308, 2**31, 2**63, 2**64, 10**400),
    *("", "x", "..", "../x", "/etc/passwd", "a\\b", "\0", "\x1b[31m", "\n", "\ud800", "0", "nan"),
    *("x" * 5000, "@network_def", "$1+1", "%x", "<b>&\"'"),
    *([], [[]], [None], [1], [1, 2], ["x", "y"], [1, 2, 3], {}, {"": None}, {"x": {}}),
    *(float("nan"), float("inf"), float("-inf")),
)


def damaged_json(rng: random.Random, data: bytes) -> bytes:
    """The JSON in `data` with one node of it changed; other bytes as they are."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return data
    try:
        return json.dumps(_damaged(rng, found)).encode()
    except (ValueError, RecursionError):  # deeper, or longer in digits, than Python writes
        return data


def _damaged(rng: random.Random, value: Any) -> Any:
    if rng.random() < 0.01:
        return _deep(rng)
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        how = rng.random()
        if how < 0.8:
            return {**value, key: _damaged(rng, value[key])}
        rest = {k: v for k, v in value.items() if k != key}
        if how < 0.9:
            return rest
        new = str(rng.choice(_ODD))[:50] if rng.random() < 0.7 else rng.choice(list(value))
        return {**rest, new: value[key]}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        how = rng.random()
        if how < 0.6:
            return [*value[:at], _damaged(rng, value[at]), *value[at + 1 :]]
        return value[:at] + value[at + 1 :] if how < 0.8 else [*value, value[at]]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and rng.random() < 0.4:
        return rng.choice((-value, value + 1, value - 1, str(value), [value]))
    return rng.choice(_ODD)


def _deep(rng: random.Random) -> Any:
    found: Any = 0
    for _ in range(rng.choice((50, 500, 900))):
        found = [found] if rng.random() < 0.5 else {"x": found}
    return found
