"""All that is done with a bundle's manifest between opening it and showing a result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from fmtool import bundle as bundles
from fmtool.bundle import Bundle
from fmtool.errors import FmtoolError
from runtime import attribution, quality, report, trust
from runtime.answer import answer, unlike
from runtime.engines import selftest
from runtime.engines.base import Arrays, Engine
from runtime.predict import Predictor
from runtime.preprocess.pipeline import Prepared
from runtime.preprocess.template import Template
from runtime.quality import border, missing, slices
from runtime.report import table
from runtime.result import Result

_SECONDS = {"total": 1.0}
_FACTS = {kind.key: 0.5 for kind in quality.KINDS} | {
    **{
        border.KEY: 0.0,
        slices.KIND.key: 0.0,
        missing.KEY: 0.0,
        "head": "whole",
        "brain_volume_ml": 1200.0,
    },
    "registration_problem": "",
}


class _Engine(Engine):
    """Gives what was expected."""

    library, version, device, precision = "none", "0", "cpu", "float32"

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def run(self, inputs: Arrays) -> Arrays:
        expected = self._bundle.manifest.self_test.outputs
        return {name: np.asarray([v], dtype=np.float32) for name, v in expected.items()}

    def close(self) -> None:
        pass


def open_and_use(path: Path) -> None:
    """Everything, each for itself: one refusal must not keep the next from being tried."""
    refused: FmtoolError | None = None
    with bundles.open(path) as bundle:
        for step in (_files, _open, _quality, _self_test, answer_all):
            try:
                step(bundle)
            except FmtoolError as error:
                refused = error
    if refused is not None:
        raise refused


def _files(bundle: Bundle) -> None:
    for precision in ("float32", "float16", "int8"):
        if precision in bundle.manifest.model:
            bundle.model(precision)
    for name in (bundle.manifest.strip.locate, bundle.manifest.strip.segment):
        bundle.file(name)
    bundle.file("MODEL_CARD.md").read_text(encoding="utf-8")
    Template.load(bundle.template)


def _open(bundle: Bundle) -> None:
    Predictor(bundle, engine="onnxruntime").select(None)


def _quality(bundle: Bundle) -> None:
    quality.checks({"spacing": [1.0] * 3}, _FACTS, bundle.manifest.calibration)


def _self_test(bundle: Bundle) -> None:
    template = selftest._template
    selftest._template = lambda bundle: {}
    try:
        selftest.run(_Engine(bundle), bundle)
    finally:
        selftest._template = template


def answer_all(bundle: Bundle) -> None:
    """Every answer that uses the calibration, and what shows it."""
    trusts = trust.read(bundle)
    embedding = np.ones(bundle.manifest.encoder.features % 4096, np.float32)
    predictions = {
        name: answer(task, 0.75, bundle.evidence(name), embedding, trusts.get(name))
        for name, task in bundle.tasks.items()
    }
    maps = {
        name: np.ones((1, 1, 10, 12, 12), np.float32) for name in attribution.names(bundle).values()
    }
    outputs = {**maps, **{name: np.ones((1, 1), np.float32) for name in bundle.tasks}}
    attribution.read(bundle, outputs, {}, list(bundle.tasks))
    array = np.zeros((2, 2, 2), np.float32)
    prepared = Prepared(array, array > 0, np.eye(4), array, array > 0, np.eye(4), {})
    manifest = bundle.manifest
    about = {
        "name": bundle.name,
        "digest": bundle.digest,
        "demonstration": manifest.demonstration,
        "limits": list(manifest.limits),
    }
    warnings = unlike(predictions, trusts)
    result = Result(
        "s", predictions, embedding, [], prepared, about, "none", {**_FACTS}, _SECONDS, warnings
    )
    data = result.to_dict()
    json.dumps(data, allow_nan=False)
    table.render([data])
    report.csv_rows([data])
    report.html(data, {})
