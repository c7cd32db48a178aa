"""A flood of events fills no log, and what names an input is always told."""

from __future__ import annotations

import logging

from runtime.service.repeats import FACTS, FIRST, Repeats


def record(event, **facts):
    made = logging.LogRecord("fmtool.x", logging.WARNING, __file__, 1, event, (), None)
    setattr(made, FACTS, facts)
    return made


def test_the_first_are_told_and_the_others_counted():
    now = [0.0]
    repeats = Repeats(lambda: now[0])
    told = []
    for number in range(5000):
        now[0] += 0.01
        told += repeats.of(record("connection_refused", peer=f"10.0.0.{number % 3}", why="many"))
        told += repeats.of(record("answered", item=str(number))) if number % 1000 == 0 else []
    assert len(told) == FIRST + 5


def test_a_minute_later_it_is_told_how_many_and_from_where():
    now = [0.0]
    repeats = Repeats(lambda: now[0])
    for number in range(FIRST + 4):
        repeats.of(record("refused", peer="10.0.0.9", status=401, method="GET", x=number))
    now[0] = 61.0
    first, other = repeats.of(record("refused", peer="10.0.0.9", status=413, method="GET"))
    assert first.msg == "repeated"
    assert getattr(first, FACTS) == {
        "of": "refused", "status": 401, "method": "GET", "times": 4, "peers": {"10.0.0.9": 4},
    }  # fmt: skip
    assert other.msg == "refused"
    assert repeats.rest() == []


def test_kinds_that_somebody_invents_take_no_memory():
    repeats = Repeats(lambda: 0.0)
    told = sum(len(repeats.of(record("refused", why=str(n)))) for n in range(10_000))
    assert told < 1000
    assert len(repeats._windows) <= 201


def test_what_a_library_repeats_is_counted_too():
    repeats, told = Repeats(lambda: 0.0), []
    for number in range(100):
        made = logging.LogRecord(
            "asyncio", logging.ERROR, "selector_events.py", 7, "failed %s", (number,), None
        )
        told += repeats.of(made)
    assert len(told) == FIRST
    (rest,) = repeats.rest()
    assert getattr(rest, FACTS) == {"of": "asyncio", "times": 90}
