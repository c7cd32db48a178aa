"""What a million scans a day take: arithmetic that a reader can repeat, and figures that add up."""

from __future__ import annotations

import time

import pytest

from benchmarks.scale import page, record, stages
from fmtool.errors import InputError

COST = page.Cost(cpu={"total": 8.64, "network": 6.0}, wall={}, start=4.32, peak=2 << 30, flop=1e12)
RECORD = {"claim and finish": 0.01, "digest": 0.001, "output bytes": 20_000, "ledger bytes": 10_000}


def test_cores_and_memory_of_a_day():
    """8.64 s a scan, a million a day: 100 cores that never rest."""
    rows = dict(page.needs(COST, on_gpu=False))
    assert rows["cores"] == f"{100 / page.BUSY:,.0f}"
    assert rows[f"machines of {page.CORES} cores"] == "2"
    assert rows["memory of all actors, GiB"] == f"{2 * 100 / page.BUSY:,.0f}"
    rows = dict(page.needs(COST, on_gpu=True))
    assert rows["cores"] == f"{100 * 2.64 / 8.64 / page.BUSY:,.0f}"
    assert rows["network, TFLOP/s sustained"] == "11.6"
    assert rows["to Triton, Gbit/s"] == "4.1"  # two float32 volumes of 22 MB, 11.6 times a second


def test_what_flows_and_what_deaths_cost():
    rows = dict(page.flows(10_000_000, RECORD, 1_000_000))
    assert rows["scans a second"] == "11.6"
    assert rows["scans read, GB a day"] == "10,000"
    assert rows["read by nodes and once more to digest, Gbit/s"] == "1.85"
    assert rows["ledger, GB a day"] == "10.0"
    assert [more for _, more in page.retries(COST)] == ["1.00%", "1.50%", "0.010%"]


def test_the_least_breaks_first():
    rows = page.limits(10_000_000, RECORD, 1e-4)
    assert [bears for _, bears, _ in rows][:3] == ["0.29 million", "2.44 million", "5.40 million"]
    assert rows[1][0] == "one link of 10 Gbit/s to Triton" or "memory" in rows[0][0]


def test_the_page_keeps_what_is_around_its_tables(tmp_path):
    path = tmp_path / "scale.md"
    path.write_text(f"above\n{page.BEGIN}\nold\n{page.END}\nbelow\n")
    page.put(path, "new")
    page.put(path, "newer")
    assert path.read_text() == f"above\n{page.BEGIN}\n\nnewer\n\n{page.END}\nbelow\n"
    path.write_text("no marks")
    with pytest.raises(InputError, match="lacks"):
        page.put(path, "new")


def test_the_command_s_part_is_measured(tmp_path):
    scan = tmp_path / "a.nii.gz"
    scan.write_bytes(b"x" * 1000)
    result = {
        "scan": "a", "values": {}, "quality": [], "warnings": [], "facts": {"brain_volume_ml": 1.0},
        "timings": {"total": 1.0}, "embedding": [0.0] * 8, "engine": "none", "version": "0",
        "bundle": {"name": "n", "digest": "b" * 64}, "finished": "2026-01-01T00:00:00.000+00:00",
    }  # fmt: skip
    found = record.measure(scan, result, 3, tmp_path)
    assert min(found.values()) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.nii.gz"]


def test_every_scan_of_a_crowd_is_replied_to():
    assert record.step_seconds(2100) > 0


def test_stages_time_themselves_by_the_clock_that_is_given():
    from runtime.system import clock

    ticks = iter(range(10))
    timings = {}
    with stages.timed_by(lambda: next(ticks)), clock.timed(timings, "strip"):
        next(ticks)
    assert timings == {"strip": 2}
    assert clock.time is time


@pytest.mark.slow
def test_a_scan_s_stages_add_up(tmp_path, monkeypatch):
    pytest.importorskip("psutil")
    from benchmarks.batch import scans
    from fmtool import bundle

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    head = scans.prepared(1, tmp_path / "in") / "head-00" / "normalized.nii.gz"
    found = stages.measure(head, bundle.DEMO, 1)
    for clock in ("cpu", "wall"):
        parts = found[clock]
        assert parts["network"] > 0
        assert sum(parts[s] for s in (*stages.STAGES, "rest")) == pytest.approx(parts["total"])
    assert found["peak"] > 100 << 20
    assert found["page"] > 10_000
    assert found["result"]["engine"] == found["engine"]
