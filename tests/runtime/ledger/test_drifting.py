"""The last answers of a ledger beside its bundle's calibration, and what a service says of them."""

from __future__ import annotations

import io
import json
import logging

import numpy as np
import pytest

from fmtool.errors import LedgerError
from runtime.ledger import FILE, Ledger
from runtime.ledger.drifting import drifting, remember
from runtime.service.status import status
from runtime.system.clock import stamp
from runtime.trust import drift

BUNDLE = "b" * 64


def answered(ledger, number, noise, value=40.0, bundle=BUNDLE):
    item = ledger.add(f"{number}.nii", f"{number:064x}", bundle, {})
    assert ledger.claim(item) == "claimed"
    quality = [{"name": "noise", "value": noise}]
    assert ledger.finish(
        item,
        {
            "scan": "",
            "values": {"age": {"value": value}},
            "quality": quality,
            "novelty_p": 0.5,
            "timings": {"total": 1.0},
            "engine": "e",
            "version": "v",
            "finished": stamp(),
        },
    )


@pytest.fixture
def known():
    random = np.random.default_rng(0)
    values = [{"noise": float(v)} for v in random.uniform(1.0, 1.5, 20)]
    return drift.reference(values, {"age": list(random.normal(0.0, 3.0, 20))}, 20)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / FILE) as opened:
        yield opened


def test_a_ledger_without_a_reference_says_nothing(ledger, tmp_path):
    assert drifting(ledger) is None
    remember(ledger, BUNDLE, None)
    for number in range(12):
        answered(ledger, number, 1.2)
    assert drifting(ledger) is None
    assert status(tmp_path)["drift"] is None


def test_the_last_answers_of_this_bundle_are_looked_at(ledger, known, tmp_path):
    remember(ledger, BUNDLE, known)
    for number in range(30):
        answered(ledger, number, 1.25)
    answered(ledger, 99, 50.0, bundle="c" * 64)
    found = drifting(ledger)
    assert (found.answers, list(found.drifted)) == (30, [])
    for number in range(30, 60):
        answered(ledger, number, 2.5)
    told = status(tmp_path)["drift"]
    assert told["drifted"] == ["noise"]
    assert told["score"] > 1.0
    assert "no longer look like" in told["sentence"]
    json.dumps(told)


def test_labels_that_came_later_are_looked_at(ledger, known):
    remember(ledger, BUNDLE, known)
    for number in range(30):
        answered(ledger, number, 1.25, value=40.0)

    def truths(scans):
        return "age", {i: 52.0 for i, scan in enumerate(scans) if scan.endswith("nii")}

    assert list(drifting(ledger, truths).drifted) == ["error of age"]


def test_a_damaged_reference_is_told(ledger):
    ledger.keep("reference", '{"bundle": "b", "reference": {"subjects": "x"}}')
    with pytest.raises(LedgerError, match="reference cannot be read"):
        drifting(ledger)


def test_a_loop_says_it_once(ledger, known, worker):
    from runtime.service.loop import AnswerLoop

    class Front:
        logger, poll_s = logging.getLogger("fmtool.drift"), 1.0

    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    Front.logger.addHandler(handler)
    loop = AnswerLoop(Front(), ledger, worker, None, None)
    remember(ledger, BUNDLE, known)
    for number in range(40):
        answered(ledger, number, 2.5)
        loop._look()
    Front.logger.removeHandler(handler)
    assert loop.drift.drifted == ["noise"]
    assert len(lines.getvalue().splitlines()) == 1


def test_prometheus_is_told():
    pytest.importorskip("prometheus_client", reason="the http extra is absent")
    from runtime.service.http.metrics import Metrics

    metrics = Metrics("b", "e")
    assert b"fmtool_drift NaN" in metrics.text({}, 1, True, None)
    assert b"fmtool_drift 2.5" in metrics.text({}, 1, True, drift.Drift(30, ["noise"], 2.5))
