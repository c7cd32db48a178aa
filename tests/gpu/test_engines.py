"""On a GPU: each engine reproduces the demonstration bundle's self-test, and is where it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fmtool import bundle as bundles
from fmtool.bundle import Bundle
from fmtool.errors import CapabilityError
from runtime.engines import cuda, here, selftest, table
from runtime.engines.base import Arrays, Engine
from runtime.engines.choose import choose, open_bundle
from runtime.engines.onnxruntime import OnnxRuntimeEngine
from runtime.engines.onnxruntime.providers import PROVIDERS
from runtime.engines.table import NATIVE, EngineRow

pytestmark = pytest.mark.gpu
ROWS = [row for row in table.ROWS if row.device == "cuda"]


class Twice(Engine):
    """An engine that is given everything as a batch of two, and must answer both alike."""

    def __init__(self, inner: Engine) -> None:
        self.inner = inner
        self.library, self.version = inner.library, inner.version
        self.device, self.precision = inner.device, inner.precision

    def run(self, inputs: Arrays) -> Arrays:
        both = self.inner.run({name: np.concatenate([a, a]) for name, a in inputs.items()})
        for name, values in both.items():
            assert len(values) == 2, name
            np.testing.assert_allclose(values[0], values[1], rtol=1e-3, atol=1e-3, err_msg=name)
        return {name: values[1:] for name, values in both.items()}

    def close(self) -> None:
        self.inner.close()


@pytest.fixture
def demo() -> Iterator[Bundle]:
    with bundles.open() as opened:
        yield opened


@pytest.fixture(params=ROWS, ids=lambda row: row.name)
def row(request: pytest.FixtureRequest) -> EngineRow:
    nothing = cuda.missing(0)
    if nothing:
        pytest.skip(nothing)
    lacks = here.missing(request.param)
    if lacks:
        pytest.skip(f"{request.param.title}: {lacks}")
    return request.param


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing that an earlier run compiled or found out."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "fmtool" / "engines"


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_self_test_is_reproduced(row: EngineRow, demo: Bundle, precision: str) -> None:
    choice = choose(row.name, "cuda", precision)
    with open_bundle(demo, choice, print) as engine:
        assert (engine.device, engine.precision) == ("cuda:0", precision)
        assert set(selftest.run(engine, demo).errors) == {"embedding", *demo.tasks}


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_batch_of_two_is_reproduced(
    row: EngineRow, demo: Bundle, precision: str, cache: Path
) -> None:
    with open_for_two(row, demo, precision, cache) as engine:
        assert selftest.run(Twice(engine), demo).errors


def open_for_two(row: EngineRow, demo: Bundle, precision: str, cache: Path) -> Engine:
    if row.name not in NATIVE:
        return open_bundle(demo, choose(row.name, "cuda", precision), print)
    from runtime.engines.trt import cached
    from runtime.engines.trt.run import TensorRTEngine

    library = NATIVE[row.name]
    key = cached.key_of(demo, library, precision, batches=(1, 2, 2))
    built = cached.build_into(demo, key, cache, print)
    return TensorRTEngine(built.path, "cuda", precision, library)


def test_what_was_compiled_serves_the_next_start(row: EngineRow, demo: Bundle, cache: Path) -> None:
    choice = choose(row.name, "cuda", "float32")
    answers = []
    for _ in range(2):
        with open_bundle(demo, choice, print) as engine:
            answers.append(selftest.run(engine, demo).errors)
    assert answers[0].keys() == answers[1].keys()
    if row.name != "onnxruntime":
        assert [file for file in cache.rglob("*") if file.is_file()]


def test_onnx_runtime_is_on_the_provider_asked_for(row: EngineRow, demo: Bundle) -> None:
    if row.name not in PROVIDERS:
        pytest.skip("not ONNX Runtime")
    with open_bundle(demo, choose(row.name, "cuda", "float32"), print) as engine:
        assert isinstance(engine, OnnxRuntimeEngine)
        assert engine.providers[0] == PROVIDERS[row.name].name


def test_a_gpu_that_is_not_there_is_refused(row: EngineRow) -> None:
    number = 0
    while cuda.missing(number) is None:
        number += 1
    with pytest.raises(CapabilityError, match=f"cuda:{number}"):
        choose(row.name, f"cuda:{number}")


def test_auto_takes_the_gpu(row: EngineRow, demo: Bundle) -> None:
    choice = choose(stored=demo.manifest.model)
    assert (choice.device, choice.precision) == ("cuda:0", "float16")
