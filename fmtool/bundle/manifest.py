"""What a manifest must look like before anything in it is used; whoever made it may be hostile.

Only what is used is checked: a field of a later version, or one for people's eyes, may be anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from fmtool.task import Task

REQUIRED = ("name", "encoder", "tasks", "model", "strip", "template", "self_test", "files")

MAX_BYTES = 16 << 20
"""No manifest may be larger: checked before it is read."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST = 4096  # of any text
_MOST_FEATURES = 1 << 16
_MOST_PATCH = 1024

Test = Callable[[Any], bool]


def check(manifest: Mapping[str, Any]) -> dict[str, Task]:
    """The tasks of a manifest in which everything is of its kind.

    Raises:
        ValueError: for the first field that is not, naming it.
    """
    missing = [key for key in REQUIRED if key not in manifest]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    _need(_text(manifest["name"]), "name", "a name")
    files = _dict(manifest["files"], "files")
    for name, facts in files.items():
        fine = isinstance(facts, dict) and _whole(facts.get("bytes"))
        fine = fine and bool(_SHA256.fullmatch(str(facts.get("sha256"))))
        _need(fine, f"files, {name:.60}", "a SHA-256 and a size")
    encoder = _dict(manifest["encoder"], "encoder")
    features = encoder.get("features")
    _need(_whole(features, 1, _MOST_FEATURES), "encoder, features", "a whole number")
    sides = encoder.get("patch") or [1, 1, 1]
    fine = isinstance(sides, list) and len(sides) == 3
    fine = fine and all(_whole(side, 1, _MOST_PATCH) for side in sides)
    _need(fine, "encoder, patch", "three whole numbers")
    for key in ("model", "strip"):
        _need(_each(manifest[key], _text), key, "names of files")
    _need({"locate", "segment"} <= manifest["strip"].keys(), "strip", "files to locate and segment")
    for key in ("template", "trust", "robustness"):
        _need(_text(manifest.get(key, "-")), key, "the name of a file")
    _self_test(_dict(manifest["self_test"], "self_test"), int(encoder["features"]))
    ranges = manifest.get("calibration", {})
    _need(_each(ranges, _pair), "calibration", "pairs of numbers, the smaller one first")
    _need(type(manifest.get("demonstration", False)) is bool, "demonstration", "true or false")
    limits = manifest.get("limits", [])
    _need(isinstance(limits, list) and all(map(_text, limits)), "limits", "sentences")
    return _tasks(manifest["tasks"])


def _tasks(entries: Any) -> dict[str, Task]:
    _need(isinstance(entries, list), "tasks", "a list")
    found: dict[str, Task] = {}
    for entry in entries:
        where = f"tasks, number {len(found) + 1}"
        try:
            task = Task.from_dict(entry)
        except ValueError as error:
            raise ValueError(f"{where} cannot be: {error}") from None
        _need(task.name not in found, where, "named otherwise than the one before")
        _need(_text(entry.get("map") or "-"), f"{where}, map", "the name of an output")
        _evidence(_dict(entry.get("evidence", {}), f"{where}, evidence"), f"{where}, evidence")
        found[task.name] = task
    return found


_WORDS = ("metric", "baseline_name", "sample", "how")
_NUMBERS = ("value", "baseline", "residual_sd")
_PAIRS = ("interval", "difference_interval", "label_range")


def _evidence(facts: dict[str, Any], where: str) -> None:
    kinds: list[tuple[tuple[str, ...], Test, str]] = [
        (_WORDS, _text, "words"),
        (_NUMBERS, _number, "a number"),
        (_PAIRS, _pair, "two numbers, the smaller one first"),
        (("unit",), lambda v: v == "" or _text(v), "a unit"),
        (("beats_baseline",), lambda v: type(v) is bool, "true or false"),
        (("label_quartiles",), _numbers, "numbers"),
    ]
    for keys, test, what in kinds:
        for key in keys:
            if facts.get(key) is not None:
                _need(test(facts[key]), f"{where}, {key}", what)
    if facts.get("beats_baseline") is False:
        _need("baseline_name" in facts, where, "with a baseline_name")
    volume = facts.get("brain_volume")
    if volume is not None:
        fine = isinstance(volume, dict) and _number(volume.get("value"))
        fine = fine and type(volume.get("head_is_better")) is bool
        fine = fine and _number(facts.get("value")) and _text(facts.get("metric"))
        _need(fine, f"{where}, brain_volume", "a value to be compared with the head's")


def _self_test(facts: dict[str, Any], features: int) -> None:
    outputs, tolerance = _dict(facts.get("outputs"), "self_test, outputs"), facts.get("tolerance")
    _need(_each(outputs, _numbers), "self_test, outputs", "numbers by output")
    fine = len(outputs.get("embedding", [0.0] * features)) == features
    _need(fine, "self_test, outputs, embedding", f"{features} numbers, as many as the features")
    by_precision = dict(tolerance) if isinstance(tolerance, dict) else {"": None}
    fine = _each(by_precision.pop("tasks", {}), _by_precision)
    _need(fine and _each(by_precision, _number), "self_test, tolerance", "numbers by precision")


def _by_precision(value: Any) -> bool:
    return _each(value, _number)


def _need(fine: bool, where: str, what: str) -> None:
    if not fine:
        raise ValueError(f"{where} must be {what}")


def _dict(value: Any, where: str) -> dict[str, Any]:
    _need(isinstance(value, dict), where, "a table of names")
    return dict(value)


def _each(value: Any, test: Test) -> bool:
    return isinstance(value, dict) and all(map(test, value.values()))


def _text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any, least: int = 0, most: int = 1 << 62) -> bool:
    return type(value) is int and least <= value <= most


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(map(_number, value))


def _pair(value: Any) -> bool:
    return _numbers(value) and len(value) == 2 and value[0] <= value[1]
