"""What the command itself does for each scan: digest, enter, claim, record, write.

And the pool's own work with many actors, on a grid that answers at once.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from runtime.batch import outputs
from runtime.batch.enrol import enrol
from runtime.batch.ray.layout import Node, Slot
from runtime.batch.ray.messages import Asked, Opened
from runtime.batch.ray.pool import ClusterPool
from runtime.batch.wire import Answered
from runtime.batch.worker import Job, Setup
from runtime.engines.choose import Choice, Wish
from runtime.ledger import Ledger
from runtime.ledger.outcomes import outcomes
from runtime.prepare import Reading

_COPIES = 16


def measure(scan: Path, result: Mapping[str, Any], count: int, work: Path) -> dict[str, float]:
    """Seconds and bytes a scan, in a folder on the disk of `work`.

    Args:
        scan: a file; copies of it are digested, cached by the system.
        result: by `Result.to_dict()`.
        count: items to record.
        work: an existing folder.
    """
    with tempfile.TemporaryDirectory(dir=work) as folder:
        top = Path(folder)
        digest = _digest(scan, top)
        with Ledger(top / "ledger.sqlite") as ledger:
            start = time.perf_counter()
            items = [ledger.add(f"/{n}.nii.gz", f"{n:064x}", "b" * 64, {}) for n in range(count)]
            added = time.perf_counter()
            for item in items:
                ledger.claim(item)
                ledger.finish(item, result)
            ended = time.perf_counter()
            ledger.vacuum()
            size = (top / "ledger.sqlite").stat().st_size
            writing = time.perf_counter()
            rows = list(outcomes(ledger))
            paths = outputs.write_rows(rows, top)
            written = time.perf_counter() - writing
        return {
            "digest": digest,
            "add": (added - start) / count,
            "claim and finish": (ended - added) / count,
            "ledger bytes": size / count,
            "write": written / count,
            "output bytes": sum(path.stat().st_size for path in paths) / count,
        }


def _digest(scan: Path, top: Path) -> float:
    """Seconds to digest a scan and to enter it, by the threads that `enrol` has."""
    data = scan.read_bytes()
    copies = [top / f"{number}{''.join(scan.suffixes)}" for number in range(_COPIES)]
    for number, copy in enumerate(copies):
        copy.write_bytes(data + bytes([number]))  # contents of their own
    with Ledger(top / "digests.sqlite") as ledger:
        start = time.perf_counter()
        assert len(list(enrol(ledger, copies, "b" * 64, {}))) == _COPIES
        return (time.perf_counter() - start) / _COPIES


_OPENED = Opened(Choice("openvino", "cpu", "float32", ""), "")


class Crowd:
    """A `Grid` of 16 nodes with 64 actors each; a promise is its own answer."""

    def __init__(self) -> None:
        self._nodes = [Node(str(number), f"node-{number}", 64, 0, 0) for number in range(16)]

    def nodes(self) -> list[Node]:
        """All of them, always."""
        return self._nodes

    def start(self, slot: Slot, asked: Asked) -> Any:
        """The slot."""
        return slot

    def open(self, actor: Any) -> Any:
        """The answer."""
        return (actor, _OPENED)

    def answer(self, actor: Any, job: Job) -> Any:
        """The answer."""
        return (actor, job.item)

    def kept(self, promises: Collection[Any], seconds: float) -> list[Any]:
        """Those of one node, so that each step hears some and not all."""
        return [*promises][:64]

    def take(self, promise: Any) -> Any:
        """What it is."""
        return promise[1] if promise[1] is _OPENED else Answered({})

    def kill(self, actor: Any) -> None:
        """Nothing."""


def step_seconds(count: int) -> float:
    """Seconds a scan, once all actors have opened."""
    setup = Setup(Path(), Reading(), Path(), False)
    asked = Asked(Wish(engine="openvino", device="cpu"), setup, "", "")
    pool = ClusterPool(Crowd(), asked, lambda sentence: None)
    for _ in range(20):
        pool.step(0.0)
    for item in range(count):
        pool.submit(Job(item, Path("scan.nii.gz"), "", "c" * 64))
    done, start = 0, time.perf_counter()
    while done < count:
        done += len(pool.step(0.0))
    return (time.perf_counter() - start) / count
