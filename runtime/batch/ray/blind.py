"""Which nodes cannot see which scans: what the storage lacks on a node is no fault of the scan."""

from __future__ import annotations

from collections.abc import Callable

from runtime.batch.ray.layout import Node
from runtime.batch.worker import Job
from runtime.scan import called


class Blind:
    """Nodes that were asked for a scan and did not find it.

    Args:
        say: told of a node when it is first found wanting.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._of: dict[int, dict[str, str]] = {}
        self._told: set[str] = set()

    def add(self, job: Job, node: Node, why: str) -> None:
        """Note that a node does not see a scan, and what its system says."""
        self._of.setdefault(job.item, {})[node.id] = f"{node.name}: {why}"
        if node.id not in self._told:
            self._told.add(node.id)
            self._say(
                f"node {node.name} does not see every scan ({why}): those go to other nodes; "
                "mount the same storage at the same path there"
            )

    def to(self, job: Job, node: Node) -> bool:
        """Whether a node is known not to see a scan."""
        return node.id in self._of.get(job.item, {})

    def all(self, job: Job, nodes: set[str]) -> bool:
        """Whether none of the nodes of these ids sees a scan; False if none was asked."""
        return job.item in self._of and nodes <= self._of[job.item].keys()

    def sentence(self, job: Job) -> str:
        """Why a scan that no node sees has no answer."""
        where = "; ".join(sorted(self._of[job.item].values()))
        return (
            f"{called(job.source)} is seen by this machine and by no node of the cluster "
            f"({where}); mount its storage there, then `fmtool ledger retry` lets it wait again"
        )

    def forget(self, job: Job) -> None:
        """A scan that has its reply, or that begins anew."""
        self._of.pop(job.item, None)
