"""The actors of a batch: who is where, who has which scan, and what a death costs.

An actor has one scan at a time, so that its death costs that scan one attempt and no other. It is
replaced if its node lives; nodes that come get actors, nodes that go lose them.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from runtime.batch.ray.blind import Blind
from runtime.batch.ray.grid import Grid, Lost
from runtime.batch.ray.layout import Slot, slots
from runtime.batch.ray.messages import Asked, Unseen
from runtime.batch.wire import Answered, Broken, Refused
from runtime.batch.worker import Job
from runtime.batch.workers import Reply
from runtime.scan import called

LOOK_S = 2.0
"""Between looks at which nodes there are."""

WAIT_S = 60.0
"""Without any usable node, the batch waits so long for one."""

START_S = 600.0
"""With nodes on which no actor has opened: they may be busy, or compile the bundle's engine."""

_STILLBORN = 3  # actors that end before they open, after which their slot is not used
_GONE = "was on a node that is gone"
_Key: TypeAlias = tuple[str, int]  # a node's id and a slot's index


@dataclass
class _Seat:
    slot: Slot
    actor: Any
    promise: Any
    since: float
    job: Job | None = None
    opened: bool = False


@dataclass
class _Unfit:
    """Slots that are not used, and how often an actor ended there before it opened."""

    slots: set[_Key] = field(default_factory=set)
    stillborn: dict[_Key, int] = field(default_factory=dict)
    sentences: dict[str, None] = field(default_factory=dict)


class ClusterPool:
    """A `Grid`'s actors as workers; all of it happens in the caller's thread, in `step`.

    Args:
        grid: the cluster.
        asked: what every actor computes with.
        say: told what becomes of nodes.
        clock: seconds.
    """

    def __init__(
        self,
        grid: Grid,
        asked: Asked,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._grid = grid
        self._asked = asked
        self._say = say
        self._clock = clock
        self._jobs: deque[Job] = deque()
        self._seats: dict[_Key, _Seat] = {}
        self._idle: dict[_Key, _Seat] = {}
        self._blind = Blind(say)
        self._unfit = _Unfit()
        self._met: set[str] = set()
        self._looked = float("-inf")
        self._since = clock()  # when a node was last at work, or none was yet

    @property
    def most(self) -> int:
        """One scan in each actor's hands and one that waits for it; one for a first actor."""
        return 2 * max(1, len(self._seats))

    def submit(self, job: Job) -> None:
        """Have a scan answered."""
        self._jobs.append(job)

    def step(self, seconds: float) -> list[Reply]:
        """What has come of scans since the last step, or within `seconds`; perhaps nothing."""
        replies = self._look() if self._clock() - self._looked >= LOOK_S else []
        self._hand_out()
        promises = {
            seat.promise: key for key, seat in self._seats.items() if seat.promise is not None
        }
        for promise in self._grid.kept(promises, seconds):
            replies += self._hear(promises[promise])
        self._hand_out()
        return [*replies, *self._unseen(), *self._deserted()]

    def close(self) -> None:
        """End all actors."""
        for seat in self._seats.values():
            self._grid.kill(seat.actor)
        self._seats.clear()
        self._idle.clear()

    def _look(self) -> list[Reply]:
        """Fill the slots of the nodes that there are, and give up those of nodes that went."""
        self._looked = self._clock()
        wanted = {
            (node.id, slot.index): slot
            for node in self._grid.nodes()
            for slot in slots(node, self._asked.wish.device)
        }
        replies: list[Reply] = []
        for key in [key for key in self._seats if key not in wanted]:
            replies += self._lost(key, _GONE)
        for key, slot in wanted.items():
            if key not in self._seats and key not in self._unfit.slots:
                actor = self._grid.start(slot, self._asked)
                self._seats[key] = _Seat(slot, actor, self._grid.open(actor), self._looked)
        counts = Counter(key[0] for key in wanted if key[0] not in self._met)
        self._met |= counts.keys()
        for node, count in counts.items():
            name = wanted[node, 0].node.name
            self._say(f"node {name}: {count} actors")
        return replies

    def _hand_out(self) -> None:
        """Give each idle actor the first scan that its node is not known to be blind to."""
        for key, seat in list(self._idle.items()):
            job = next((j for j in self._jobs if not self._blind.to(j, seat.slot.node)), None)
            if job is not None:
                self._jobs.remove(job)
                seat.job = job
                seat.promise = self._grid.answer(seat.actor, job)
                del self._idle[key]

    def _hear(self, key: _Key) -> list[Reply]:
        seat = self._seats[key]
        try:
            said = self._grid.take(seat.promise)
        except Lost as error:
            return self._lost(key, str(error))
        if isinstance(said, Broken):
            self._grid.kill(self._seats.pop(key).actor)
            self._leave_out(key, said.sentence)
            return []
        job, seat.job, seat.promise = seat.job, None, None
        self._idle[key] = seat
        if job is None:
            seat.opened = True
            self._unfit.stillborn.pop(key, None)
            return []
        if isinstance(said, Unseen):
            self._blind.add(job, seat.slot.node, said.why)
            self._jobs.appendleft(job)
            return []
        assert isinstance(said, Answered | Refused)
        self._blind.forget(job)
        return [(job.item, said)]

    def _lost(self, key: _Key, how: str) -> list[Reply]:
        """Give up a seat; `_look` fills it again if its node lives."""
        seat = self._seats.pop(key)
        self._idle.pop(key, None)
        self._grid.kill(seat.actor)
        node = seat.slot.node
        if seat.job is not None:
            self._blind.forget(seat.job)
            sentence = f"{called(seat.job.source)}: the actor on node {node.name} that had it {how}"
            return [(seat.job.item, Refused(sentence, True))]
        if not seat.opened and how != _GONE:
            count = self._unfit.stillborn.get(key, 0) + 1
            self._unfit.stillborn[key] = count
            if count >= _STILLBORN:
                self._leave_out(key, f"node {node.name} cannot be used: an actor there {how}")
        return []

    def _leave_out(self, key: _Key, sentence: str) -> None:
        self._unfit.slots.add(key)
        if sentence not in self._unfit.sentences:
            self._unfit.sentences[sentence] = None
            self._say(sentence)

    def _unseen(self) -> list[Reply]:
        """Refuse the scans that no node can see, once every node has had its say or its time."""
        late = self._clock() - WAIT_S
        if any(not seat.opened and seat.since > late for seat in self._seats.values()):
            return []
        nodes = {seat.slot.node.id for seat in self._seats.values() if seat.opened}
        if not nodes:
            return []
        replies: list[Reply] = []
        for job in [job for job in self._jobs if self._blind.all(job, nodes)]:
            self._jobs.remove(job)
            replies.append((job.item, Refused(self._blind.sentence(job), False)))
            self._blind.forget(job)
        return replies

    def _deserted(self) -> list[Reply]:
        """One `Broken` when it has been too long since an actor was there to work."""
        now = self._clock()
        if any(seat.opened for seat in self._seats.values()):
            self._since = now
            return []
        limit = START_S if self._seats else WAIT_S
        if now - self._since < limit:
            return []
        what = "opened an actor" if self._seats else "is left"
        why = f" ({'; '.join(self._unfit.sentences)})" if self._unfit.sentences else ""
        return [
            (
                0,
                Broken(
                    f"no node of the cluster {what}, after {limit:.0f} s of waiting{why}; start "
                    "one and run the command again: what is done is kept"
                ),
            )
        ]
