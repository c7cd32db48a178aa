"""Blocks: how many, how long, what is untimed; energy; how much is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.bench import machine, timing
from benchmarks.bench.machine import Meter
from fmtool.errors import UsageError

NO_METER = Meter(None, "none", "none")


class Clock:
    """Time that passes by inferring."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cost: float) -> None:
        self.now, self.cost, self.calls = 0.0, cost, 0
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def infer(self, i: int) -> None:
        self.calls += 1
        self.now += self.cost


@pytest.mark.parametrize(
    ("cost", "seconds", "count", "timed", "warm"),
    [
        (0.01, 1.0, 1, 100, 20),  # as long as was asked for, after 200 ms
        (0.5, 1.0, 5, 5, 0),  # as many as were asked for; none is short enough to warm up with
        (0.125, 0.0, 2, 2, 1),
    ],
)
def test_a_block_lasts(monkeypatch, cost, seconds, count, timed, warm):
    clock = Clock(monkeypatch, cost)
    found = timing.block(clock.infer, seconds, count, cost, NO_METER, lambda: None)
    assert found.processor >= 0.0
    assert len(found.latencies) == pytest.approx(timed, abs=1)
    assert clock.calls - len(found.latencies) == warm
    assert found.latencies == pytest.approx([cost] * len(found.latencies))
    assert found.joules is None
    assert found.split == []


def test_parts_and_joules_are_of_the_timed_inferences(monkeypatch):
    clock = Clock(monkeypatch, 0.125)
    meter = Meter(lambda: 10.0 * clock.calls, "fake")
    parts = {"compute": 0.1}
    found = timing.block(clock.infer, 0.0, 3, 0.125, meter, lambda: parts)
    assert found.joules == 30.0
    assert found.split == [parts] * 3


@pytest.mark.parametrize(("text", "found"), [("1,2,4", (1, 2, 4)), ("4, 1,4", (1, 4))])
def test_batches(text, found):
    assert timing.batches(text) == found


@pytest.mark.parametrize("text", ["", "0", "1,-2", "two", "1.5", "1,,2"])
def test_batches_that_are_none(text):
    with pytest.raises(UsageError, match="whole numbers above zero"):
        timing.batches(text)


@pytest.mark.parametrize("repeats", [1, 3, 10, 11, 25])
def test_repeats_are_exact(repeats):
    plan = timing.request((), "1", None, repeats).rounds()
    assert sum(count for _, count in plan) == repeats
    assert {seconds for seconds, _ in plan} == {0.0}
    assert len(plan) == min(repeats, timing.ROUNDS)


def test_seconds_are_shared_by_the_rounds():
    plan = timing.request((), "1", 5.0, None).rounds()
    assert sum(seconds for seconds, _ in plan) == pytest.approx(5.0)
    assert sum(count for _, count in plan) == timing.ROUNDS


@pytest.mark.parametrize("wrong", [(3.0, 2), (0.0, None), (-1.0, None), (None, 0)])
def test_how_much_is_checked(wrong):
    with pytest.raises(UsageError):
        timing.request((), "1", *wrong)


def package(folder: Path, number: int, microjoules: int, wrap: int = 1000) -> Path:
    place = folder / f"intel-rapl:{number}"
    place.mkdir(parents=True, exist_ok=True)
    (place / "energy_uj").write_text(f"{microjoules}\n")
    (place / "max_energy_range_uj").write_text(f"{wrap}\n")
    return place


def test_packages_are_summed_over_their_laps(tmp_path):
    package(tmp_path, 0, 900)
    package(tmp_path, 1, 100)
    package(tmp_path, 0, 900).joinpath("intel-rapl:0:0").mkdir()
    found = machine.meter("cpu", tmp_path)
    assert found.read is not None
    before = found.read()
    package(tmp_path, 0, 50)  # past its end: 150 more
    package(tmp_path, 1, 300)
    assert found.read() - before == pytest.approx(350e-6)


def test_without_a_counter_there_is_a_reason(tmp_path):
    assert machine.meter("cpu", tmp_path).read is None
    assert str(tmp_path) in machine.meter("cpu", tmp_path).reason
    package(tmp_path, 0, 1)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert "cannot be read" in machine.meter("cpu", tmp_path).reason


def test_a_busy_machine_is_said():
    facts = {"load_average": 1.0, "cores": 2}
    assert machine.warnings(facts) == []
    assert "load average 1.1 on 2 cores" in machine.warnings({**facts, "load_average": 1.1})[0]


def test_the_peak_of_this_process_is_told():
    before = machine.peak_memory()
    if before is None:
        pytest.skip("this system does not tell a process's peak")
    held = bytearray(b"1") * (before + (64 << 20))
    assert machine.peak_memory() >= len(held)
