"""A `Grid` on Ray: the one file, beside `joining`, that knows Ray's words.

Nothing is retried by Ray: the pool decides what a death costs and where an actor goes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection
from typing import Any

from fmtool.environment import OFF
from runtime.batch.ray.actor import Actor
from runtime.batch.ray.grid import Lost
from runtime.batch.ray.layout import Node, Slot
from runtime.batch.ray.messages import Asked
from runtime.batch.worker import Job
from runtime.system.machine import THREADS


class Rays:
    """The cluster that `ray` is connected to.

    Args:
        ray: the module.
        bundle: `ship.pack`'s bytes; they go to a node when its first actor asks for them.
    """

    def __init__(self, ray: Any, bundle: bytes) -> None:
        self._ray = ray
        self._bundle = ray.put(bundle)
        self._actor = ray.remote(Actor)

    def nodes(self) -> list[Node]:
        """See `Grid`."""
        alive = [node for node in self._ray.nodes() if node["Alive"]]
        names = Counter(node["NodeManagerHostname"] for node in alive)
        return [_node(node, names[node["NodeManagerHostname"]] > 1) for node in alive]

    def start(self, slot: Slot, asked: Asked) -> Any:
        """See `Grid`."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        threads = dict.fromkeys(THREADS, str(slot.cores))
        placed = self._actor.options(
            num_cpus=slot.cores,
            num_gpus=slot.gpu,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(slot.node.id, soft=False),
            runtime_env={"env_vars": {**OFF, **threads}},
        )
        fetch = _Fetch(self._bundle)
        return placed.remote(slot.node.name, asked, fetch, slot.cores, slot.index)

    def open(self, actor: Any) -> Any:
        """See `Grid`."""
        return actor.open.remote()

    def answer(self, actor: Any, job: Job) -> Any:
        """See `Grid`."""
        return actor.answer.remote(job)

    def kept(self, promises: Collection[Any], seconds: float) -> list[Any]:
        """See `Grid`."""
        if not promises:
            time.sleep(seconds)
            return []
        waited = [*promises]
        done, left = self._ray.wait(waited, num_returns=1, timeout=seconds)
        more, _ = self._ray.wait(left, num_returns=len(left), timeout=0) if left else ([], [])
        return [*done, *more]

    def take(self, promise: Any) -> Any:
        """See `Grid`."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(promise)
        except errors.RayError as error:
            # Its own text runs over many lines, and quotes what the actor was told.
            kind = type(error).__name__
            if getattr(error, "actor_init_failed", False) or isinstance(error, errors.RayTaskError):
                raise Lost(f"failed ({kind}); is the same fmtool installed there?") from None
            raise Lost(f"ended ({kind}), perhaps for want of memory") from None

    def kill(self, actor: Any) -> None:
        """See `Grid`."""
        self._ray.kill(actor, no_restart=True)


class _Fetch:
    """The bundle's bytes, fetched on the node that calls it; the reference travels alone."""

    def __init__(self, reference: Any) -> None:
        self._reference = [reference]

    def __call__(self) -> bytes:
        import ray

        sent: bytes = ray.get(self._reference[0])
        return sent


def _node(node: dict[str, Any], several: bool) -> Node:
    name, has = str(node["NodeManagerHostname"]), node["Resources"]
    return Node(
        id=node["NodeID"],
        name=f"{name} ({node['NodeID'][:6]})" if several else name,
        cpus=int(has.get("CPU", 0)),
        gpus=int(has.get("GPU", 0)),
        memory=int(has.get("memory", 0)),
    )
