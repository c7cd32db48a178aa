"""A run's progress: steps, loss, images per second, time left; elsewhere than on a terminal a line
now and then."""

from __future__ import annotations

import time

from rich import progress
from rich.console import Console

from fmtool.progress import clock, now_and_then


class Progress:
    """A bar on stderr, or lines where that is no terminal.

    Args:
        name: of the recipe.
        total: steps of the whole run.
        done: steps done before.
        shown: False in the processes that keep quiet.
    """

    def __init__(self, name: str, total: int, done: int, shown: bool) -> None:
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._lines = console if shown and not console.is_terminal else None
        self._due, self._start, self._before = now_and_then(), time.perf_counter(), done
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[loss]}"),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not (shown and console.is_terminal),
        )
        self._task = self._bar.add_task(name, total=total, completed=done, loss="", rate="")
        self._begin, self._images = time.perf_counter(), 0

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def step(self, loss: float, images: int) -> None:
        """One more step, which saw `images` scans."""
        self._images += images
        rate = self._images / max(time.perf_counter() - self._begin, 1e-9)
        self._bar.update(
            self._task, advance=1, loss=f"loss {loss:.4f}", rate=f"{rate:.2f} images/s"
        )
        if self._lines is not None and self._due():
            task = self._bar.tasks[self._task]
            spent = time.perf_counter() - self._start
            left = (task.total or 0) - task.completed
            seconds = left * spent / max(task.completed - self._before, 1)
            self._lines.print(
                f"{task.description}: step {task.completed:.0f} of {task.total:.0f}, "
                f"loss {loss:.4f}, {rate:.2f} images/s, {clock(seconds)} left",
                markup=False,
            )

    def start_epoch(self) -> None:
        """Count time and images from here."""
        self._begin, self._images = time.perf_counter(), 0

    def images_per_second(self) -> float:
        """Since the epoch started."""
        return self._images / max(time.perf_counter() - self._begin, 1e-9)
