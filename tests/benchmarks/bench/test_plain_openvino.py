"""What the engine rearranges changes no number: the peer's outputs are the engine's."""

from __future__ import annotations

import time

import numpy as np
import pytest

from benchmarks.bench import inputs
from benchmarks.bench.engine_system import EngineSystem
from benchmarks.bench.plain_openvino_system import PlainOpenVINOSystem
from benchmarks.bench.system import Laps
from fmtool import bundle as bundles
from fmtool.errors import CapabilityError


def test_on_the_demonstration_bundle() -> None:
    with bundles.open() as demo:
        volumes = inputs.gather(demo, [])
        spec = {"bundle": str(demo.path), "precision": "float32"}
        plain = PlainOpenVINOSystem(spec, Laps(time.monotonic()))
        engine = EngineSystem({**spec, "engine": "openvino", "device": "cpu"}, Laps(0.0))
        two = {name: np.concatenate([array, array]) for name, array in volumes.items()}
        found, expected = plain.run(two), engine.run(two)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-4, err_msg=name)
    plain.close()
    engine.close()


def test_a_precision_that_the_processor_lacks_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.bench.plain_openvino_system.precisions", lambda: ("float32",))
    with pytest.raises(CapabilityError, match="bfloat16"):
        PlainOpenVINOSystem({"bundle": "", "precision": "bfloat16"}, Laps(0.0))
