"""A progress bar over scans, with their rate."""

from __future__ import annotations

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


@contextmanager
def scans(total: int, what: str) -> Iterator[Callable[[], None]]:
    """A bar on a terminal's stderr; call what it yields once per scan that is done."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


class _Rate(ProgressColumn):
    """Scans per second, or per minute where a scan takes longer than one."""

    def render(self, task: Task) -> Text:
        """The rate over the last scans, once there is one."""
        speed = task.finished_speed or task.speed
        if speed is None:
            return Text("")
        return Text(f"{speed:.1f} scans/s" if speed >= 1.0 else f"{60.0 * speed:.1f} scans/min")
