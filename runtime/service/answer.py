"""Answering one input of a service: its files into a folder, or why there are none."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmtool.errors import CapabilityError, FmtoolError, InputError, shown
from fmtool.errors.advice import no_options
from runtime import report
from runtime.batch.tried import is_passing
from runtime.ledger.content import content_digest
from runtime.service import guard
from runtime.system import posix
from runtime.trust import drift
from runtime.trust.drift import SiteReference

if TYPE_CHECKING:  # a service's own process computes nothing
    from runtime.preprocess.template import Template
    from runtime.result import Result

RESULT = "result.json"
PAGE = "report.html"


class Fate(StrEnum):
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
        into: an empty folder for the answer's files.
        scan: what the input is called in them, and in sentences.
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
        fate: see there.
        kind: of the error, such as "InputError"; it identifies nobody.
        reason: the error's sentence, in which the input is called by its name.
        result: the plain data of the result, all tasks.
    """

    fate: Fate
    kind: str = ""
    reason: str = ""
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AnsweredBy:
    """What answers: the bundle, its digest, the engine in words, and the site's reference."""

    bundle: str
    digest: str
    engine: str
    reference: SiteReference | None = None


Make = Callable[[Order, "Result", "Template"], Mapping[str, bytes]]
"""An answer's files by name, from its order, its result and the registration template."""


class Answerer:
    """A Predictor and what is made of its results.

    Args:
        bundle: a path, or None for the demonstration bundle.
        tasks: those that orders will ask for, to be refused now if the bundle has no such task.
        make: the files of an answer; `RESULT` and `PAGE` if absent.

    Raises:
        FmtoolError: as `Predictor`.
    """

    def __init__(
        self,
        bundle: str | PathLike[str] | None = None,
        tasks: Sequence[str] | None = None,
        make: Make | None = None,
    ) -> None:
        from runtime.predict import Predictor

        with no_options():
            predictor = Predictor(bundle)
            predictor.select(tasks)
            self._predictor = predictor.__enter__()
        self._make = make or _pages
        opened = predictor.bundle
        self.about = AnsweredBy(
            opened.name, opened.digest, predictor.engine.describe(), drift.read(opened)
        )

    def close(self) -> None:
        """Let go of the engine."""
        self._predictor.__exit__(None, None, None)

    def __call__(self, order: Order | Path) -> Outcome | str | OSError:
        """An order's outcome; a path's digest of what it holds."""
        if isinstance(order, Path):
            try:
                return content_digest(order)
            except OSError as error:
                return OSError(error.errno, error.strerror)
        return self.answer(order)

    def answer(self, order: Order) -> Outcome:
        """Answer; whatever goes wrong is in the outcome."""
        return answered(order, self._predictor.predict, self._make, self._predictor.template)


def answered(
    order: Order, predict: Callable[[Path], Result], make: Make, template: Template
) -> Outcome:
    """Predict, make the answer's files and write them; whatever goes wrong is in the outcome."""
    try:
        with no_options():
            result = predict(order.source)
        made = make(order, result, template)
    except Exception as error:
        return _failed(error, order)
    try:
        put(order.into, made)
    except OSError as error:
        kind = "disk_full" if guard.is_full(error) else "cannot_write"
        return Outcome(Fate.blocked, kind, f"cannot write the result ({error.strerror})")
    return Outcome(Fate.done, result=result.to_dict())


def _pages(order: Order, result: Result, template: Template) -> dict[str, bytes]:
    from runtime.report.publish import pictures

    return pages(order, result.to_dict(), pictures(result, template))


def pages(order: Order, data: Mapping[str, Any], images: Mapping[str, bytes]) -> dict[str, bytes]:
    """`RESULT` and `PAGE`.

    Args:
        order: what the scan is called in them, and which tasks of the result they show.
        data: `Result.to_dict()`.
        images: the page's pictures.
    """
    shown = {name: v for name, v in data["values"].items() if name in (order.tasks or (name,))}
    told = {**data, "scan": order.scan, "content": order.content, "values": shown}
    text = json.dumps(told, indent=1, allow_nan=False) + "\n"
    return {RESULT: text.encode(), PAGE: report.html(told, images).encode()}


def put(into: Path, made: Mapping[str, bytes]) -> None:
    """Have files on disk for good.

    Raises:
        OSError: if they cannot be written.
    """
    for name, data in made.items():
        with (into / name).open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    posix.sync(into)


def _failed(error: Exception, order: Order) -> Outcome:
    kind = type(error).__name__
    if isinstance(error, FmtoolError):
        final = isinstance(error, InputError | CapabilityError) and not is_passing(error)
        reason = str(error).replace(shown(os.fspath(order.source)), order.scan)
        return Outcome(Fate.refused if final else Fate.broken, kind, reason)
    if isinstance(error, OSError):
        return Outcome(Fate.broken, kind, f"{order.scan} cannot be read ({error.strerror})")
    return Outcome(Fate.broken, kind, f"an error of fmtool:\n{traceback.format_exc()}")
