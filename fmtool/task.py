"""Task: what a head predicts, its unit, its label column and the values that make sense.

A question of the user's own is a small TOML file:

name = "brain_age_gap"          # letters, digits and underscores: names the model's output
kind = "regression"             # or "binary", "multiclass" or "ordinal"
unit = "years"                  # of a regression
label = "gap"                   # the column of the cohort's table
valid_range = [-40.0, 40.0]     # optional, of a regression
# classes = ["CN", "MCI"]       # class 0 and class 1 as tables write them; three or more of a
                                # multiclass task, and of an ordinal one, from least to most
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

from fmtool.errors import InputError, UsageError
from fmtool.files import DEVICES

Kind = Literal["regression", "binary", "multiclass", "ordinal"]

SEVERAL = ("multiclass", "ordinal")
"""The kinds of three classes or more."""

SURE_LOGIT = 4.0
"""A probability of 0.98 or 0.02."""


@dataclass(frozen=True)
class Task:
    """One question a head answers.

    Attributes:
        name: what the user types and what the model's output is called.
        kind: "regression" (the output is the value), "binary" (the output is a logit),
            "multiclass" (the output is a logit for each class, of which a softmax makes
            probabilities) or "ordinal" (the output is a score, of which thresholds between the
            classes make probabilities; see `runtime.trust.ordinal`).
        unit: the unit of a regression's value; "probability" for a task of classes.
        label: the column of a cohort table that holds the truth.
        valid_range: the smallest and largest label that can be true (regression).
        classes: the names of class 0 and class 1 (binary), or of all (multiclass; ordinal, in
            their order), as written in tables.
    """

    name: str
    kind: Kind
    unit: str
    label: str
    valid_range: tuple[float, float] | None = None
    classes: tuple[str, ...] | None = None

    @property
    def outputs(self) -> int:
        """How many numbers a head gives: K of a multiclass task, 1 of any other."""
        return len(self.classes or ()) if self.kind == "multiclass" else 1

    @property
    def several(self) -> bool:
        """Whether there are three classes or more."""
        return self.kind in SEVERAL

    @property
    def logits(self) -> int:
        """How many a head has while it is trained: K - 1 of an ordinal task, one for each step from
        a class to the next, which share their weight; of any other as many as `outputs`."""
        return len(self.classes or ()) - 1 if self.kind == "ordinal" else self.outputs

    def parted_by(self, thresholds: Sequence[float] | None) -> bool:
        """Whether a head of the task can have these: K - 1 that rise, if ordinal, else None."""
        if self.kind != "ordinal" or thresholds is None:
            return self.kind != "ordinal" and thresholds is None
        fine = len(thresholds) == self.logits and all(map(_finite, thresholds))
        return fine and all(one < other for one, other in pairwise(thresholds))

    def telling(self, outputs: Sequence[float]) -> float:
        """What `slack` asks for, of a head's outputs: the one, or by how much the largest leads."""
        if self.kind != "multiclass":
            return float(outputs[0])
        second, first = sorted(outputs)[-2:]
        return float(first - second)

    def slack(self, value: float) -> float:
        """How many times its tolerance an output of about `value` may be off; at least 1.

        Rounding moves a logit in proportion to its size, and far from zero the probability hardly
        follows: beyond `SURE_LOGIT` a tolerance is a relative one. A tolerance of 0.2 moves a
        probability by 0.05 at even odds, and by less than 0.004 where there is any slack. Of
        several logits it is the lead of the largest that makes sure; a score far from zero may
        lie at a threshold, and has none.
        """
        rigid = self.kind in ("regression", "ordinal")
        return 1.0 if rigid else max(1.0, abs(value) / SURE_LOGIT)

    def parse_label(self, text: object) -> float:
        """A table's cell as a number: the value of a regression, or the class's index.

        A cell may hold the index itself, unless three names or more hold numbers.

        Raises:
            InputError: for an empty, unreadable or out-of-range cell, naming what is valid.
        """
        word = str(text).strip()
        if self.kind == "binary":
            assert self.classes is not None
            names = {c.lower(): float(i) for i, c in enumerate(self.classes)}
            names |= {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0}
            if self.name == "sex":
                names |= {"female": 0.0, "male": 1.0}
            if word.lower() not in names:
                raise InputError(
                    f"{self.label} is {word!r}; valid are {', '.join(self.classes)}, 0 and 1"
                )
            return names[word.lower()]
        if self.several:
            return self._index(word)
        try:
            value = float(word)
        except ValueError:
            raise InputError(f"{self.label} is {word!r}, which is not a number") from None
        if not math.isfinite(value):
            raise InputError(f"{self.label} is {word!r}, which is not a finite number")
        low, high = self.valid_range or (-math.inf, math.inf)
        if not low <= value <= high:
            raise InputError(f"{self.label} is {value:g} {self.unit}; valid is {low:g} to {high:g}")
        return value

    def _index(self, word: str) -> float:
        names = self.classes or ()
        found = {name.lower(): float(i) for i, name in enumerate(names)}
        if word.lower() in found:
            return found[word.lower()]
        numbers = [n for n in map(_as_number, names) if n is not None]
        meant = _as_number(word)
        if numbers:  # such as the grades 0, 0.5 and 1: a cell's 1 is the grade, not the index
            same = [i for i, name in enumerate(names) if _as_number(name) == meant is not None]
        else:
            same = [i for i in range(len(names)) if i == meant]
        if same:
            return float(same[0])
        orders = "" if numbers else f", and 0 to {len(names) - 1}"
        raise InputError(f"{self.label} is {word!r}; valid are {', '.join(names)}{orders}")

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as the bundle's manifest stores it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Task:
        """The inverse of `to_dict`, also once that was JSON; what else `data` holds is left aside.

        Raises:
            ValueError: if it describes no task; see `fmtool.task`.
        """
        if not isinstance(data, dict):
            raise ValueError("it is no task")
        known = {key: data[key] for key in cls.__dataclass_fields__ if data.get(key) is not None}
        plain = {key: list(v) if isinstance(v, tuple) else v for key, v in known.items()}
        try:
            return check(plain)
        except InputError as error:
            raise ValueError(str(error)) from None


AGE = Task("age", "regression", "years", "age", valid_range=(0.0, 120.0))
SEX = Task("sex", "binary", "probability", "sex", classes=("F", "M"))
ALZHEIMERS = Task("alzheimers", "binary", "probability", "diagnosis", classes=("CN", "AD"))
STROKE_SCALE = Task("stroke_scale", "regression", "NIHSS points", "nihss", valid_range=(0.0, 42.0))
DIAGNOSIS = Task("diagnosis", "multiclass", "probability", "diagnosis", classes=("CN", "MCI", "AD"))

_PAPER = {t.name: t for t in (AGE, SEX, ALZHEIMERS, STROKE_SCALE)}

BUILT_IN: dict[str, Task] = _PAPER | {DIAGNOSIS.name: DIAGNOSIS}
"""By name; the first four are the paper's (arXiv 2509.10620)."""


def get(name_or_path: str) -> Task:
    """The built-in task of that name, or the task of a file whose name ends in `.toml`.

    Raises:
        UsageError: for an unknown name, listing the known ones.
        InputError: for a file that describes no task; see `fmtool.task`.
    """
    if name_or_path.endswith(SUFFIX):
        return read(Path(name_or_path))
    if name_or_path not in BUILT_IN:
        near = get_close_matches(name_or_path.lower(), BUILT_IN, 1)
        raise UsageError(
            f"unknown task {name_or_path!r}{f' (is it {near[0]}?)' if near else ''}; there are "
            f"{', '.join(BUILT_IN)}, and any that a .toml file describes"
        )
    return BUILT_IN[name_or_path]


SUFFIX = ".toml"

_MAX_BYTES = 64 << 10

MOST_CLASSES = 32
"""Each of a multiclass task has its own map in every result."""

_KEYS = ("name", "kind", "unit", "label", "valid_range", "classes")
_REQUIRED = {
    "regression": ("name", "kind", "unit", "label"),
    "binary": ("name", "kind", "label", "classes"),
    "multiclass": ("name", "kind", "label", "classes"),
    "ordinal": ("name", "kind", "label", "classes"),
}
_KINDS = '"regression", "binary", "multiclass" or "ordinal"'
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_TAKEN = ("volume", "mask", "embedding")  # the exported model's own inputs and outputs
_NUMBERS = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}  # what every binary task reads as its classes


def read(path: Path) -> Task:
    """The task that a file describes.

    Raises:
        InputError: if it is missing, not TOML, or describes no task: which key, and what is valid.
    """
    data = _toml(path)
    try:
        task = check(data)
        # Not of a bundle's task: those of earlier versions may have called theirs so.
        _refuse_built_in(task, BUILT_IN)
    except InputError as error:
        raise InputError(f"task file {path}: {error}") from None
    return task


def _toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"task file {path} does not exist or is not a file")
    if path.stat().st_size > _MAX_BYTES:
        raise InputError(f"task file {path} is larger than {_MAX_BYTES >> 10} KiB: not a task")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:  # also of a number of 5000 digits
        what = str(error).partition(";")[0]
        raise InputError(f"task file {path} is not TOML ({what:.200}); mend it") from None


def check(data: dict[str, Any]) -> Task:
    """The task that a file's keys describe.

    Raises:
        InputError: if they describe none: which key, and what is valid.
    """
    unknown = [key for key in data if key not in _KEYS]
    if unknown:
        raise InputError(f"unknown key {unknown[0]!r:.60}; a task has {', '.join(_KEYS)}")
    if "kind" not in data:
        raise InputError(f"the key 'kind' is missing; it is {_KINDS}")
    kind = data["kind"]
    if not isinstance(kind, str) or kind not in _REQUIRED:
        raise InputError(f"kind is {kind!r:.60}; valid is {_KINDS}")
    missing = [key for key in _REQUIRED[kind] if key not in data]
    if missing:
        raise InputError(f"the key {missing[0]!r} is missing; {_a(kind)} task needs it")
    other = "classes" if kind == "regression" else "valid_range"
    wrong = [other] if other in data else []
    if wrong:
        raise InputError(f"{wrong[0]!r} makes no sense for {_a(kind)} task; take it out")
    if kind == "regression":
        task = Task(
            _name(data), "regression", _text(data, "unit"), _text(data, "label"), _range(data)
        )
    else:
        if data.get("unit", "probability") != "probability":
            raise InputError(f'the unit of {_a(kind)} task is "probability"; take it out')
        of_classes: Kind = next(k for k in get_args(Kind) if k == kind)
        named = _many_classes(data) if kind in SEVERAL else _classes(data)
        task = Task(_name(data), of_classes, "probability", _text(data, "label"), classes=named)
    _refuse_built_in(task, _PAPER)
    return task


def _refuse_built_in(task: Task, known: Mapping[str, Task]) -> None:
    if task.name in known and task != known[task.name]:
        raise InputError(f"{task.name} is built in with another meaning; choose another name")


def _name(data: dict[str, Any]) -> str:
    name = data["name"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"name is {name!r:.60}; it needs a letter, then up to 63 letters, digits or underscores"
        )
    if DEVICES.match(name):
        raise InputError(f"name is {name!r}, which no file can have on Windows; choose another")
    if name in _TAKEN:
        raise InputError(f"name is {name!r:.60}, which the model itself uses; choose another")
    return name


def _text(data: dict[str, Any], key: str) -> str:
    text = data[key]
    if not isinstance(text, str) or not text.strip() or not text.isprintable():
        raise InputError(f"{key} is {text!r:.60}; it needs a word or two on one line, in quotes")
    return text.strip()


def _range(data: dict[str, Any]) -> tuple[float, float] | None:
    if "valid_range" not in data:
        return None
    ends = data["valid_range"]
    if not isinstance(ends, list) or len(ends) != 2 or not all(map(_finite, ends)):
        raise InputError(f"valid_range is {ends!r:.60}; it needs two numbers, such as [0.0, 120.0]")
    if not ends[0] < ends[1]:
        raise InputError(f"valid_range is {ends!r:.60}; the smaller number comes first")
    return float(ends[0]), float(ends[1])


def _finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < 1e300  # not of NaN, infinity, or an integer beyond a float's range


def _classes(data: dict[str, Any]) -> tuple[str, str]:
    names = data["classes"]
    if not isinstance(names, list) or len(names) != 2:
        more = isinstance(names, list) and len(names) > 2
        hint = '; of three or more, kind is "multiclass"' if more else ', such as ["CN", "AD"]'
        hint += ', or "ordinal" if they have an order' if more else ""
        raise InputError(f"classes is {names!r:.60}; a binary task has two{hint}")
    first, second = (_text({"a class": name}, "a class") for name in names)
    if first.lower() == second.lower():
        raise InputError(f"classes is {names!r:.60}; the two must differ by more than case")
    for index, name in enumerate((first, second)):
        if _NUMBERS.get(name, index) != index:
            raise InputError(f"classes is {names!r:.60}; 0 always means the first, 1 the second")
    return first, second


def _many_classes(data: dict[str, Any]) -> tuple[str, ...]:
    given, ordered = data["classes"], data["kind"] == "ordinal"
    if not isinstance(given, list) or not 3 <= len(given) <= MOST_CLASSES:
        two = isinstance(given, list) and len(given) == 2
        such = '["none", "mild", "severe"], in order' if ordered else '["CN", "MCI", "AD"]'
        hint = 'of two, kind is "binary"' if two else f"such as {such}"
        raise InputError(
            f"classes is {given!r:.60}; {_a(data['kind'])} task has 3 to {MOST_CLASSES}, {hint}"
        )
    names = tuple(_text({"a class": name}, "a class") for name in given)
    values = [n for n in map(_as_number, names) if n is not None]
    if len({name.lower() for name in names}) < len(names) or len(set(values)) < len(values):
        raise InputError(f"classes is {given!r:.60}; any two must differ by more than case")
    ways = sorted(values), sorted(values, reverse=True)
    if ordered and len(values) == len(names) and values not in ways:
        raise InputError(f"classes is {given!r:.60}; an ordinal task's stand from least to most")
    return names


def _a(kind: str) -> str:
    return f"an {kind}" if kind == "ordinal" else f"a {kind}"


def _as_number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
