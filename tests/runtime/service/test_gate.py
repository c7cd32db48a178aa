"""The gate: who waits and says nothing gives way to who speaks."""

from __future__ import annotations

import socket

import pytest

from runtime.service.gate import Gate


class Place:
    """A gate for four, three of one address, with a clock of its own and pairs of sockets."""

    def __init__(self):
        self.now, self.told, self.wires = 0.0, [], {}
        self.gate = Gate(4, 3, 10.0, lambda *words: self.told.append(words), lambda: self.now)

    def come(self, host, port):
        self.now += 0.1
        ours, theirs = socket.socketpair()
        theirs.settimeout(1.0)
        self.wires[port] = ours, theirs
        return self.gate.admit(ours, (host, port))

    def open(self):
        """The ports whose peers have not seen an end."""
        found = set()
        for port, (_, theirs) in self.wires.items():
            theirs.setblocking(False)
            try:
                if theirs.recv(1, socket.MSG_PEEK) == b"":
                    continue
            except BlockingIOError:
                found.add(port)
        return found


@pytest.fixture
def place():
    made = Place()
    yield made
    for pair in made.wires.values():
        for wire in pair:
            wire.close()


def test_the_longest_silent_of_an_address_gives_way(place):
    assert all(place.come("a", port) for port in (1, 2, 3))
    place.gate.busy(("a", 1))
    assert place.come("a", 4)
    assert place.open() == {1, 3, 4}
    assert place.told == [("connection_ended", "a", "silent, and others came")]


def test_the_address_that_has_most_gives_way(place):
    place.come("b", 1)
    for port in (2, 3, 4):
        place.come("a", port)
    assert place.come("c", 5)
    assert place.open() == {1, 3, 4, 5}


def test_who_speaks_is_never_ended_for_another(place):
    for port, host in enumerate("aaab"):
        place.come(host, port)
        place.gate.busy((host, port))
    assert not place.come("b", 9)
    assert not place.come("a", 10)
    assert place.open() >= {0, 1, 2, 3}
    place.gate.idle(("b", 3))
    assert place.come("c", 11)
    assert 3 not in place.open()


def test_who_is_silent_for_too_long_is_ended(place):
    place.come("a", 1)
    place.come("a", 2)
    place.gate.busy(("a", 2))
    place.now = 10.05
    place.gate.sweep()
    assert place.open() == {1, 2}
    place.now = 10.2
    place.gate.sweep()
    assert place.open() == {2}
    place.gate.idle(("a", 2))
    place.now = 20.3
    place.gate.sweep()
    assert place.open() == set()


def test_what_is_closed_no_longer_counts(place):
    for port in range(3):
        place.come("a", port)
        place.gate.busy(("a", port))
    place.wires[0][0].close()
    assert place.come("a", 7)


def test_what_was_ended_is_to_be_closed_before_more_is_taken(place):
    for port in range(8):
        assert place.come("a", port) or place.gate.crowded
    assert place.gate.crowded
    place.now += 2.0
    assert not place.gate.crowded  # whoever holds them does not close them: no reason to wait
