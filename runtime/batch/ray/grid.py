"""What the pool needs of a cluster, so that its logic can be tested without one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from runtime.batch.ray.layout import Node, Slot
from runtime.batch.ray.messages import Asked
from runtime.batch.worker import Job


class Lost(Exception):
    """An actor that ended, or whose node did; its text says how, as a sentence's end."""


class Grid(Protocol):
    """A cluster: nodes, and actors on them. Actors and promises are known by hashable objects."""

    def nodes(self) -> list[Node]:
        """Those that are alive now."""

    def start(self, slot: Slot, asked: Asked) -> Any:
        """An actor, on that slot's node or nowhere; at once, whether or not there is room."""

    def open(self, actor: Any) -> Any:
        """The promise of `Actor.open`'s answer."""

    def answer(self, actor: Any, job: Job) -> Any:
        """The promise of `Actor.answer`'s answer."""

    def kept(self, promises: Collection[Any], seconds: float) -> list[Any]:
        """The promises that are kept or broken, as soon as there is one, or after `seconds`."""

    def take(self, promise: Any) -> Any:
        """What was promised.

        Raises:
            Lost: if the actor ended before.
        """

    def kill(self, actor: Any) -> None:
        """End an actor at once, whatever it is at."""
