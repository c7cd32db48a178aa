"""The roof: probes that cost what they say, and shares that follow from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.bench import probe, probe_graph, roofline
from benchmarks.bench.probe import Ceiling, Probe
from benchmarks.bench.roofline import Layer
from fmtool.errors import CapabilityError
from runtime.engines.choose import choose, open_engine


def test_a_probe_costs_what_torch_counts() -> None:
    with FlopCounterMode(display=False) as counter:
        y = torch.zeros(1, probe.CHANNELS, 10, 10, 10)
        for _ in range(probe.CHAIN):
            y = torch.nn.functional.conv3d(y, torch.zeros(probe.CHANNELS, probe.CHANNELS, 3, 3, 3))
    assert counter.get_total_flops() == probe.flop("convolution", 10)
    assert probe.flop("matrix product", 10) == 2 * 1000 * probe.CHAIN


@pytest.mark.parametrize("kind", probe.KINDS)
@pytest.mark.parametrize(
    ("engine", "precision", "tolerance"),
    [
        ("onnxruntime", "float32", 1e-5),
        ("openvino", "float32", 1e-5),
        ("openvino", "bfloat16", 0.1),
        ("openvino", "int8", 0.3),
    ],
)
def test_a_probe_multiplies(
    tmp_path: Path, kind: str, engine: str, precision: str, tolerance: float
) -> None:
    """Against float32 in NumPy's stead: another engine's float32 of the same graph."""
    try:
        choice = choose(engine, "cpu", precision)
    except CapabilityError as error:
        pytest.skip(str(error))
    path, plain = tmp_path / "probe.onnx", tmp_path / "plain.onnx"
    shape = probe_graph.write(path, kind, 16, 8, 4, precision)
    probe_graph.write(plain, kind, 16, 8, 4, "float32")
    vector = {"vector": np.random.default_rng(1).normal(size=shape).astype(np.float32)}
    with open_engine(path, choice) as opened:
        found = opened.run(vector)["out"]
    with open_engine(plain, choose("onnxruntime", "cpu", "float32")) as opened:
        expected = opened.run(vector)["out"]
    assert list(found.shape) == shape
    assert np.linalg.norm(found - expected) / np.linalg.norm(expected) < tolerance


def test_probes_grow_until_they_take_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    now, opened, closed = [0.0], [], []
    monkeypatch.setattr(probe.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(probe.time, "process_time", lambda: 2 * now[0])

    def make(kind: str, size: int) -> Probe:
        cost = probe.flop(kind, size)
        opened.append((kind, size))

        def run() -> None:
            now[0] += cost / 100e9

        return Probe(f"{kind} {size}", cost, run, lambda: closed.append((kind, size)))

    ceiling = Ceiling(make, seconds=0.25)
    kept = [entry for entry in opened if entry not in closed]
    assert [kind for kind, _ in kept] == list(probe.KINDS)
    assert all(probe.flop(*entry) / 100e9 >= 0.25 for entry in kept)
    ceiling.measure()
    assert ceiling.best == pytest.approx(100e9)
    assert ceiling.best_by_processor == pytest.approx(50e9)  # on two cores


def test_shares_of_a_roof() -> None:
    """At 100 operations per second and 10 numbers (40 bytes) per second."""
    layers = [Layer("product", flop=200, values=5), Layer("copy", flop=10, values=40)]
    found = roofline.place(layers, "float32", latency=8.0, peak=100.0, bandwidth=40.0)
    assert found["flop_per_second"] == pytest.approx(210 / 8)
    assert found["share_of_peak"] == pytest.approx(210 / 8 / 100)
    assert found["limit_seconds"] == pytest.approx(2.0 + 4.0)
    assert found["share_of_roofline"] == pytest.approx(6 / 8)
    assert found["bound"] == "memory"
    assert roofline.place(layers, "int8", 8.0, 100.0, 40.0)["bound"] == "compute"


def test_memory_has_a_speed() -> None:
    assert 1e8 < probe.bandwidth("cpu", 8 << 20) < 1e13
