"""What the command, its driver process and the actors say to each other; all can be pickled."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.batch.worker import Setup
from runtime.engines.choose import Choice, Wish


@dataclass(frozen=True)
class Asked:
    """What an actor is to compute with.

    Attributes:
        wish: the command's, or what another node has chosen.
        auto: see `Choice`; of what another node has chosen.
        setup: see there; the bundle's path is the command's, and means nothing on a node.
        digest: the bundle's.
        version: of the command's fmtool.
    """

    wish: Wish
    setup: Setup
    digest: str
    version: str
    auto: tuple[str, ...] = ()


@dataclass(frozen=True)
class Opened:
    """An actor that is ready.

    Attributes:
        choice: before the bundle's self-test.
        words: the engine that passed it, for people.
    """

    choice: Choice
    words: str


@dataclass(frozen=True)
class Unseen:
    """A scan that the command saw and this node does not.

    Attributes:
        why: what the node's system says of the path.
    """

    why: str


@dataclass(frozen=True)
class Said:
    """A remark for whoever runs the command."""

    sentence: str


@dataclass(frozen=True)
class Room:
    """How many scans are worth having under way, now."""

    most: int
