"""The pool's own work with many actors, on a grid that answers at once."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from runtime.batch.ray.layout import Node, Slot
from runtime.batch.ray.messages import Asked, Opened
from runtime.batch.ray.pool import ClusterPool
from runtime.batch.wire import Answered
from runtime.batch.worker import Job, Setup
from runtime.engines.choose import Choice, Wish
from runtime.prepare import Reading

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
