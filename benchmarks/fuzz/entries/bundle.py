"""What a bundle holds, by a hostile maker who has every digest right.

Its manifest and its calibration, opened and used; a zip of it (`fmtool.bundle.open`); how far its
outputs move (`runtime.trust.robustness.read`); its signature and a site's public key
(`fmtool.bundle.signing`).
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.fuzz.entries import made_bundle
from benchmarks.fuzz.entry import Entry, zipped
from fmtool import bundle as bundles
from fmtool.bundle import MANIFEST, Bundle
from fmtool.bundle.signing import bundle as signature
from fmtool.bundle.signing import key_files, minisign
from fmtool.errors import BundleError, FmtoolError
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
from runtime.trust import robustness

_SECONDS = {"total": 1.0}
_FACTS = {kind.key: 0.5 for kind in quality.KINDS} | {
    **{border.KEY: 0.0, slices.KIND.key: 0.0, missing.KEY: 0.0},
    **{"head": "whole", "brain_volume_ml": 1200.0, "registration_problem": ""},
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
    Template.of(bundle)


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
    features = {name: bundle.manifest.encoder_of(name).features % 4096 for name in bundle.tasks}
    tasks, known = bundle.tasks, bundle.evidence
    raw = {name: np.full((1, task.outputs), 0.75, np.float32) for name, task in tasks.items()}
    predictions = {
        name: answer(
            task,
            raw[name][0],
            known(name),
            np.ones(features[name], np.float32),
            trusts.get(name),
            thresholds=bundle.thresholds(name),
        )
        for name, task in tasks.items()
    }
    outputs = {
        of_map: np.ones((1, tasks[name].outputs, 10, 12, 12), np.float32)
        for name, of_map in attribution.names(bundle).items()
    } | raw
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
    embedding = np.ones(2, np.float32)
    result = Result(
        "s", predictions, embedding, [], prepared, about, "none", {**_FACTS}, _SECONDS, warnings
    )
    data = result.to_dict()
    json.dumps(data, allow_nan=False)
    table.render([data])
    report.csv_rows([data])
    report.html(data, {})


_TRUST = json.dumps(made_bundle.trust()).encode()


def _manifest_trial(data: bytes, folder: Path) -> None:
    made = made_bundle.write(folder, made_bundle.manifest(), _TRUST)
    whole = json.loads((made / MANIFEST).read_bytes())
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict) and told.get("files") == {}:
        text = json.dumps({**told, "files": whole["files"]}).encode()
    else:
        text = data
    (made / MANIFEST).write_bytes(text)
    open_and_use(made)


def _manifest_seeds() -> list[bytes]:
    whole = made_bundle.manifest()
    some = {"model.onnx": {"sha256": "0" * 64, "bytes": 8}}
    return [json.dumps(whole).encode(), json.dumps({**whole, "files": some}).encode()]


CLAIMS = Entry(_manifest_seeds, _manifest_trial, structured="json")


def _zip_seeds() -> list[bytes]:
    with tempfile.TemporaryDirectory() as scratch:
        made = made_bundle.write(Path(scratch), made_bundle.manifest(), _TRUST)
        files = sorted(made.iterdir())
        return zipped({f"made.fmtool/{file.name}": file.read_bytes() for file in files})


def _zip_trial(data: bytes, folder: Path) -> None:
    file = folder / "made.zip"
    file.write_bytes(data)
    with bundles.open(file):
        pass


_SIGNATURES = (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"../")

ZIP = Entry(_zip_seeds, _zip_trial, _SIGNATURES)


def _trust_trial(data: bytes, folder: Path) -> None:
    with bundles.open(made_bundle.write(folder, made_bundle.manifest(), data)) as bundle:
        answer_all(bundle)


def _trust_seeds() -> list[bytes]:
    whole = made_bundle.trust()
    points = {"kind": "isotonic", "logits": [-1.0, 0.0, 1.0], "probabilities": [0.1, 0.5, 0.9]}
    whole["sex"]["probability"] = points
    return [_TRUST, json.dumps(whole).encode()]


TRUST = Entry(_trust_seeds, _trust_trial, structured="json")


_SHIFT = {"median": 0.5, "share": 0.1}
_ROW = {
    **{"name": "turned by 5 degrees", "judged": True, "refused": 1, "heads": 3},
    **{"outputs": {"age": _SHIFT}, "embedding": {"median": 0.1}},
}
_WHOLE = {
    **{"format": robustness.FORMAT, "engine": "none", "heads": 3, "sets": ["a", "b"]},
    **{"bundle": {"name": "made", "digest": "0" * 64}, "perturbations": [_ROW]},
    **{"errors": {"age": {"unit": "years"}}, "values": {"age": {"q1": 30.0, "q3": 40.0}}},
}


def _robustness_trial(data: bytes, folder: Path) -> None:
    told = {**made_bundle.manifest(), "robustness": "trust.json"}
    made = made_bundle.write(folder, told, data)
    assert (made / MANIFEST).exists()
    with bundles.open(made) as bundle:
        robustness.read(bundle)


ROBUSTNESS = Entry(lambda: [json.dumps(_WHOLE).encode()], _robustness_trial, structured="json")


_KEY = minisign.PrivateKey(bytes(range(8)), bytes(range(32)))
_SIGNED = b"{}"


def _signature_trial(data: bytes, folder: Path) -> None:
    (folder / "site.pub").write_text(_KEY.public.text())
    (folder / "manifest.json").write_bytes(_SIGNED)
    (folder / signature.SIGNATURE).write_bytes(data)
    keys = [key_files.read_public(folder / "site.pub")]
    try:
        signature.require(folder / "manifest.json", keys)
        assert minisign.signer(data.decode()) == _KEY.number
    except BundleError:
        (folder / "hostile.pub").write_bytes(data)
        key_files.read_public(folder / "hostile.pub")


def _signature_seeds() -> list[bytes]:
    return [minisign.sign(_SIGNED, _KEY, "made").encode(), _KEY.public.text().encode()]


_COMMENTS = (b"untrusted comment: ", b"trusted comment: ", b"RUQ", b"=", b"\r\n")

SIGNATURE = Entry(_signature_seeds, _signature_trial, _COMMENTS)
