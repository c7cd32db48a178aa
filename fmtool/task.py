"""Task: what a head predicts, its unit, its label column and the values that make sense."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from fmtool.errors import InputError, UsageError

Kind = Literal["regression", "binary"]

SURE_LOGIT = 4.0
"""A probability of 0.98 or 0.02."""


@dataclass(frozen=True)
class Task:
    """One question a head answers.

    Attributes:
        name: what the user types and what the model's output is called.
        kind: "regression" (the output is the value) or "binary" (the output is a logit).
        unit: the unit of a regression's value; "probability" for a binary task.
        label: the column of a cohort table that holds the truth.
        valid_range: the smallest and largest label that can be true (regression).
        classes: the names of class 0 and class 1 (binary), as written in tables.
    """

    name: str
    kind: Kind
    unit: str
    label: str
    valid_range: tuple[float, float] | None = None
    classes: tuple[str, str] | None = None

    def slack(self, value: float) -> float:
        """How many times its tolerance an output of about `value` may be off; at least 1.

        Rounding moves a logit in proportion to its size, and far from zero the probability hardly
        follows: beyond `SURE_LOGIT` a tolerance is a relative one. A tolerance of 0.2 moves a
        probability by 0.05 at even odds, and by less than 0.004 where there is any slack.
        """
        return max(1.0, abs(value) / SURE_LOGIT) if self.kind == "binary" else 1.0

    def parse_label(self, text: object) -> float:
        """A table's cell as a number: the value of a regression, 0 or 1 of a binary task.

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

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as the bundle's manifest stores it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Task:
        """The inverse of `to_dict`, also once that was JSON; what else `data` holds is left aside.

        Raises:
            ValueError: if it describes no task; see `fmtool.task_file`.
        """
        from fmtool import task_file  # which needs this module

        if not isinstance(data, dict):
            raise ValueError("it is no task")
        known = {key: data[key] for key in cls.__dataclass_fields__ if data.get(key) is not None}
        plain = {key: list(v) if isinstance(v, tuple) else v for key, v in known.items()}
        try:
            return task_file.check(plain)
        except InputError as error:
            raise ValueError(str(error)) from None


AGE = Task("age", "regression", "years", "age", valid_range=(0.0, 120.0))
SEX = Task("sex", "binary", "probability", "sex", classes=("F", "M"))
ALZHEIMERS = Task("alzheimers", "binary", "probability", "diagnosis", classes=("CN", "AD"))
STROKE_SCALE = Task("stroke_scale", "regression", "NIHSS points", "nihss", valid_range=(0.0, 42.0))

BUILT_IN: dict[str, Task] = {t.name: t for t in (AGE, SEX, ALZHEIMERS, STROKE_SCALE)}
"""By name; the first four are the paper's (arXiv 2509.10620)."""


def get(name_or_path: str) -> Task:
    """The built-in task of that name, or the task of a file whose name ends in `.toml`.

    Raises:
        UsageError: for an unknown name, listing the known ones.
        InputError: for a file that describes no task; see `fmtool.task_file`.
    """
    from fmtool import task_file  # which needs this module

    if name_or_path.endswith(task_file.SUFFIX):
        return task_file.read(Path(name_or_path))
    if name_or_path not in BUILT_IN:
        raise UsageError(
            f"unknown task {name_or_path!r}; there are {', '.join(BUILT_IN)}, "
            "and any that a .toml file describes"
        )
    return BUILT_IN[name_or_path]
