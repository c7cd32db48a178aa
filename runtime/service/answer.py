"""Answering one input of a service: its result and its page into a folder, or why there is none."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from os import PathLike
from pathlib import Path
from typing import Any

from fmtool.errors import CapabilityError, FmtoolError, InputError, shown
from runtime import report
from runtime.service import guard

RESULT = "result.json"
PAGE = "report.html"


class Verdict(StrEnum):
    """What came of an input.

    done: its files are written. refused: it cannot be used, today or tomorrow. broken: something
    else failed, and another try may help. blocked: its files cannot be written just now. stopped:
    the service ends.
    """

    done = "done"
    refused = "refused"
    broken = "broken"
    blocked = "blocked"
    stopped = "stopped"


@dataclass(frozen=True)
class Order:
    """What to answer.

    Attributes:
        source: what `runtime.scan.read` takes.
        into: an empty folder for `RESULT` and `PAGE`.
        scan: what the input is called in them.
        content: the input's digest, kept in them.
        tasks: those to show; all when None. All are computed, and are in the outcome.
    """

    source: Path
    into: Path
    scan: str
    content: str
    tasks: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of an order.

    Attributes:
        verdict: see there.
        kind: of the error, such as "InputError"; it identifies nobody.
        reason: the error's sentence, in which the input is called by its name.
        result: the plain data of the result, all tasks.
    """

    verdict: Verdict
    kind: str = ""
    reason: str = ""
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def timings(self) -> dict[str, float]:
        """Seconds per stage."""
        return dict(self.result.get("timings", {}))


@dataclass(frozen=True)
class About:
    """What answers: the bundle, its digest, its tasks, and the engine in words."""

    bundle: str
    digest: str
    tasks: tuple[str, ...]
    engine: str


class Answerer:
    """A Predictor and its pages.

    Args:
        bundle: a path, or None for the demonstration bundle.
        tasks: those that orders will ask for, to be refused now if the bundle has no such task.

    Raises:
        FmtoolError: as `Predictor`.
    """

    def __init__(
        self, bundle: str | PathLike[str] | None = None, tasks: Sequence[str] | None = None
    ) -> None:
        from runtime.predict import Predictor

        predictor = Predictor(bundle)
        predictor.select(tasks)
        self._predictor = predictor.__enter__()
        self.about = About(
            predictor.bundle.name,
            predictor.bundle.digest,
            tuple(predictor.bundle.tasks),
            predictor.engine.describe(),
        )

    def close(self) -> None:
        """Let go of the engine."""
        self._predictor.__exit__(None, None, None)

    def __call__(self, order: Order) -> Outcome:
        """Answer; whatever goes wrong is in the outcome."""
        from runtime.report.publish import pictures

        try:
            result = self._predictor.predict(order.source)
            data = result.to_dict()
            images = pictures(result, self._predictor.template)
            return write(order, data, images)
        except Exception as error:
            return _failed(error, order)


def write(order: Order, data: Mapping[str, Any], images: Mapping[str, bytes]) -> Outcome:
    """Put a result and its page on disk for good.

    Args:
        order: where, and which tasks of the result.
        data: `Result.to_dict()`.
        images: the page's pictures.
    """
    shown = {name: v for name, v in data["values"].items() if name in (order.tasks or (name,))}
    told = {**data, "scan": order.scan, "content": order.content, "values": shown}
    try:
        _put(order.into / RESULT, json.dumps(told, indent=1, allow_nan=False) + "\n")
        _put(order.into / PAGE, report.html(told, images))
        guard.sync(order.into)
    except OSError as error:
        kind = "disk_full" if guard.is_full(error) else "cannot_write"
        return Outcome(Verdict.blocked, kind, f"cannot write the result ({error.strerror})")
    return Outcome(Verdict.done, result=dict(data))


def _put(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _failed(error: Exception, order: Order) -> Outcome:
    kind = type(error).__name__
    if isinstance(error, FmtoolError):
        final = isinstance(error, InputError | CapabilityError)
        reason = str(error).replace(shown(os.fspath(order.source)), order.scan)
        return Outcome(Verdict.refused if final else Verdict.broken, kind, reason)
    if isinstance(error, OSError):
        return Outcome(Verdict.broken, kind, f"{order.scan} cannot be read ({error.strerror})")
    return Outcome(Verdict.broken, kind, f"an error of fmtool:\n{traceback.format_exc()}")
