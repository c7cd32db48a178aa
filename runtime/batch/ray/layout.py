"""How a node's cores, memory and GPUs are divided among actors."""

from __future__ import annotations

from dataclasses import dataclass

ACTOR_BYTES = 3 << 30
"""What an actor takes at its peak, preprocessing and the full-size network, with some to spare."""

PER_GPU = 8
"""Actors that share a GPU at most: preparing a scan takes far longer than its network does there,
and each actor holds an engine of its own in the GPU's memory."""


@dataclass(frozen=True)
class Node:
    """A machine of the cluster, as Ray describes it.

    Attributes:
        id: of this run of Ray on it; a node that comes back has another.
        name: for people.
        cpus: cores that Ray may hand out.
        gpus: GPUs that Ray may hand out.
        memory: bytes that Ray may hand out; 0 where it does not say.
    """

    id: str
    name: str
    cpus: int
    gpus: int
    memory: int


@dataclass(frozen=True)
class Slot:
    """A place for one actor.

    Attributes:
        node: where.
        index: among the node's slots.
        cores: that it is pinned to; slot i has the i-th group of so many.
        gpu: its share of one, from 0 to 1.
    """

    node: Node
    index: int
    cores: int
    gpu: float


def slots(node: Node, device: str) -> list[Slot]:
    """The node's slots, of one core each unless the memory calls for fewer and larger ones.

    Args:
        node: any.
        device: "cpu", or "cuda" for slots on a GPU alone.
    """
    count = node.cpus if not node.memory else min(node.cpus, max(1, node.memory // ACTOR_BYTES))
    if device == "cpu":
        shared = 0.0
    else:
        share = min(PER_GPU, count // node.gpus) if node.gpus else 0
        count = share * node.gpus
        shared = 0.0 if not share else int(1e4 / share) / 1e4  # Ray counts in ten-thousandths
    return [Slot(node, index, node.cpus // count, shared) for index in range(count)]
