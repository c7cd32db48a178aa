"""Progress where there is no terminal: a line now and then, and none for what is done at once."""

from __future__ import annotations

import pytest

from fmtool import progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_every_half_minute(clock, capsys):
    with progress.scans(10, "Preparing") as advance:
        for _ in range(10):
            clock[0] += 20.0
            advance()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Preparing: 2 of 10, 3.0 scans/min, 0:02:40 left"
    assert len(lines) == 5
    assert lines[-1] == "Preparing: 10 of 10, 3.0 scans/min, 0:00:00 left"


def test_what_takes_no_time_is_not_told(clock, capsys):
    with progress.scans(100, "Preparing") as advance:
        for _ in range(100):
            advance()
    assert capsys.readouterr().err == ""


def test_a_training_tells_its_steps(clock, capsys):
    from training.fit.progress import Progress

    with Progress("simclr", 100, 40, shown=True) as bar:
        for _ in range(3):
            clock[0] += 31.0
            bar.step(0.5, 4)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("simclr: step 41 of 100, loss 0.5000, ")
    assert lines[0].endswith(" left")
    with Progress("simclr", 100, 0, shown=False) as bar:
        clock[0] += 31.0
        bar.step(0.5, 4)
    assert capsys.readouterr().err == ""
