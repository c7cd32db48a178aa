"""A precision that a bundle does not bear is replaced, and said; float32 is the last resort."""

from __future__ import annotations

import pytest

from fmtool import bundle
from fmtool.errors import EngineError, ParityError
from runtime.engines import selftest
from runtime.engines.choose import Choice


class Fake:
    def __init__(self, precision):
        self.precision = precision
        self.closed = False

    def close(self):
        self.closed = True


@pytest.fixture
def opened(monkeypatch):
    """Every engine that was opened; those of `fails` do not pass the self-test."""
    engines, fails = [], set()

    def open_bundle(bundle, choice, say):
        engines.append(Fake(choice.precision))
        return engines[-1]

    def verify(engine, bundle):
        if engine.precision in fails:
            raise ParityError("off")
        return selftest.SelfTest({"embedding": 0.0}, from_cache=False)

    monkeypatch.setattr(selftest, "open_bundle", open_bundle)
    monkeypatch.setattr(selftest, "verify", verify)
    return engines, fails


def choice(precision, auto=("precision",)):
    return Choice("openvino", "cpu", precision, "it is fast", auto)


def test_a_precision_that_passes_is_kept(opened):
    engines, _ = opened
    engine, kept, _ = selftest.open_trusted(bundle.open(), choice("bfloat16"))
    assert kept == choice("bfloat16")
    assert engines == [engine]


def test_a_precision_that_fails_gives_way_to_float32_and_says_so(opened):
    engines, fails = opened
    fails.add("bfloat16")
    engine, kept, _ = selftest.open_trusted(bundle.open(), choice("bfloat16"))
    assert kept.precision == engine.precision == "float32"
    assert "too coarse for this bundle" in kept.reason
    assert engines[0].closed
    assert not engine.closed


def test_float32_that_fails_is_refused(opened):
    engines, fails = opened
    fails.update({"bfloat16", "float32"})
    with pytest.raises(ParityError, match="off"):
        selftest.open_trusted(bundle.open(), choice("bfloat16"))
    assert all(engine.closed for engine in engines)


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "int8"])
def test_a_precision_that_was_asked_for_is_refused_and_not_replaced(opened, precision):
    engines, fails = opened
    fails.add(precision)
    with pytest.raises(ParityError, match="off"):
        selftest.open_trusted(bundle.open(), choice(precision, auto=()))
    assert [engine.precision for engine in engines] == [precision]
    assert engines[0].closed


def test_an_engine_that_auto_took_and_that_fails_says_how_to_name_another(monkeypatch):
    def fail(bundle, choice, say):
        raise EngineError("cannot load it")

    monkeypatch.setattr(selftest, "open_bundle", fail)
    taken = Choice("tensorrt", "cuda:0", "float32", "", ("engine", "precision"))
    with pytest.raises(EngineError, match=r"tensorrt was chosen automatically, .*--engine"):
        selftest.open_trusted(bundle.open(), taken)
    with pytest.raises(EngineError, match=r"load it$"):
        selftest.open_trusted(bundle.open(), Choice("tensorrt", "cuda:0", "float32", ""))
