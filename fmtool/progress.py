"""How far the work on many scans is: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_LINE_SECONDS = 30.0


@contextmanager
def scans(
    total: int, what: str, say: Callable[[str], None] | None = None
) -> Iterator[Callable[[], None]]:
    """Call what it yields once per scan; the rate and the time left are told on stderr meanwhile.

    Args:
        total: of the scans that are still to be done.
        what: is being done with them.
        say: takes the lines where stderr is no terminal; they go there if absent.
    """
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if not console.is_terminal:
        yield _lines(total, what, say or (lambda line: console.print(line, markup=False)))
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def _lines(total: int, what: str, say: Callable[[str], None]) -> Callable[[], None]:
    start, done, due = time.monotonic(), 0, now_and_then()

    def advance() -> None:
        nonlocal done
        done += 1
        if due():
            speed = done / max(time.monotonic() - start, 1e-9)
            say(f"{what}: {done} of {total}, {_said(speed)}, {clock((total - done) / speed)} left")

    return advance


def now_and_then() -> Callable[[], bool]:
    """Whether half a minute has passed since it last was so, or since now: time for a line."""
    said = time.monotonic()

    def due() -> bool:
        nonlocal said
        if time.monotonic() - said < _LINE_SECONDS:
            return False
        said = time.monotonic()
        return True

    return due


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """The rate over the last scans, once there is one."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else _said(speed))


def _said(speed: float) -> str:
    """Scans per second, or per minute where a scan takes longer than one."""
    return f"{speed:.1f} scans/s" if speed >= 1.0 else f"{60.0 * speed:.1f} scans/min"


def clock(seconds: float) -> str:
    """Such as 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
