"""What the command, its driver process and the actors say to each other; all can be pickled."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.batch.worker import Setup


@dataclass(frozen=True)
class Asked:
    """What an actor is to compute with.

    Attributes:
        engine, device, precision: as `runtime.engines.choose.choose` takes them.
        auto: see `runtime.engines.choose.Choice`; of words that another node has chosen.
        setup: see there; the bundle's path is the command's, and means nothing on a node.
        digest: the bundle's.
        version: of the command's fmtool.
    """

    engine: str
    device: str
    precision: str
    setup: Setup
    digest: str
    version: str
    auto: tuple[str, ...] = ()


@dataclass(frozen=True)
class Opened:
    """An actor that is ready.

    Attributes:
        engine, device, precision, auto: what was chosen, before the bundle's self-test; see
            `runtime.engines.choose.Choice`.
        words: the engine that passed it, for people.
    """

    engine: str
    device: str
    precision: str
    auto: tuple[str, ...]
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
