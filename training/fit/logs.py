"""A run's figures: `metrics.csv`, and the same for TensorBoard; a resumed run goes on in both."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from runtime.system import atomic

METRICS = "metrics.csv"
_COLUMNS = ("step", "epoch", "name", "value")


class Logs:
    """Figures by step, in a file that any tool reads, and in TensorBoard's.

    Args:
        folder: of the run; made if needed.
        step: the first that will be written; later ones, left by a run that died after its last
            checkpoint, are dropped.
    """

    def __init__(self, folder: Path, step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / METRICS
        rows = [",".join(_COLUMNS)]
        if step > 0 and path.exists():
            with path.open(encoding="utf-8", newline="") as stream:
                kept = [row for row in csv.DictReader(stream) if _step(row) < step]
            rows += [",".join(row[c] for c in _COLUMNS) for row in kept]
        atomic.write_bytes(path, ("\n".join(rows) + "\n").encode())
        self._stream = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step)

    def __enter__(self) -> Logs:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()
        self._board.close()

    def write(self, step: int, epoch: int, facts: Mapping[str, float]) -> None:
        """Append figures; they reach the disk before this returns."""
        for name, value in facts.items():
            self._stream.write(f"{step},{epoch},{name},{value:.9g}\n")
            self._board.add_scalar(name, value, step)
        self._stream.flush()


def _step(row: Mapping[str, str | None]) -> int:
    """A row's step; a line cut short by a crash is as good as absent."""
    if any(row.get(column) in (None, "") for column in _COLUMNS):
        return 1 << 62
    return int(str(row["step"]))
