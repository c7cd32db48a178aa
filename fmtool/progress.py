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
        say: takes the lines where stderr is no terminal; none are said without it.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(total, what, say) if say else lambda: None
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
    start = said = time.monotonic()
    done = 0

    def advance() -> None:
        nonlocal done, said
        done += 1
        now = time.monotonic()
        if done < total and now - said < _LINE_SECONDS:
            return
        said = now
        speed = done / max(now - start, 1e-9)
        left = (total - done) / speed
        say(f"{what}: {done} of {total}, {_said(speed)}, {_clock(left)} left")

    return advance


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """The rate over the last scans, once there is one."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else _said(speed))


def _said(speed: float) -> str:
    """Scans per second, or per minute where a scan takes longer than one."""
    return f"{speed:.1f} scans/s" if speed >= 1.0 else f"{60.0 * speed:.1f} scans/min"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
