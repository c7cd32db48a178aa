"""A manifest by somebody hostile, every digest right, is refused by the field that cannot be."""

from __future__ import annotations

import copy
import json

import pytest

from fmtool import bundle
from fmtool.bundle import manifest
from fmtool.errors import BundleError, UsageError
from fmtool.files import sha256

MODEL = "model.onnx"


@pytest.fixture
def made(tmp_path):
    """Writes a bundle whose manifest is the demonstration's, changed by a function."""
    folder = tmp_path / "made.fmtool"
    folder.mkdir()
    (folder / MODEL).write_bytes(b"m")
    whole = json.loads((bundle.DEMO / bundle.MANIFEST).read_bytes())
    digest = sha256(folder / MODEL)
    whole["files"] = {MODEL: {"sha256": digest, "bytes": 1}}

    def write(change=lambda manifest: None):
        told = copy.deepcopy(whole)
        change(told)
        (folder / bundle.MANIFEST).write_text(json.dumps(told))
        return folder

    return write


def several(manifest, *changed):
    """The manifest with an encoder for each of its two heads, some of their fields changed."""
    one = manifest["encoder"]
    manifest["encoder"] = [
        {**one, "embedding": "embedding", "tasks": ["age"]} | (changed[0] if changed else {}),
        {**one, "embedding": "embedding_2", "tasks": ["sex"]} | (changed[1] if changed else {}),
    ]
    manifest["self_test"]["outputs"]["embedding_2"] = [0.0] * one["features"]


def test_each_head_may_have_an_encoder_of_its_own(made):
    with bundle.open(made(several)) as opened:
        manifest = opened.manifest
    features = manifest.encoder_of("age").features
    assert [e.tasks for e in manifest.encoders] == [["age"], ["sex"]]
    assert manifest.encoder_of("sex").embedding == "embedding_2"
    assert manifest.columns(manifest.encoder_of("sex")) == slice(features, 2 * features)
    with pytest.raises(UsageError, match="has 2 encoders, of the heads age, sex"):
        _ = manifest.encoder
    with pytest.raises(BundleError, match="has no head of 'gap'"):
        manifest.encoder_of("gap")
    data = manifest.to_dict()
    assert [each["embedding"] for each in data["encoder"]] == ["embedding", "embedding_2"]
    assert type(manifest).from_dict(json.loads(json.dumps(data))) == manifest


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (({}, {"tasks": ["age"]}), "encoder, tasks must be the manifest's heads, each of one"),
        (({"tasks": ["age", "sex"]}, {}), "encoder, tasks must be the manifest's heads, each of"),
        (({}, {"tasks": None}), "encoder, tasks must be names of heads, where there is a list"),
        (({}, {"tasks": "sex"}), "encoder, tasks must be names of heads"),
        (({}, {"embedding": "embedding"}), "encoder, embedding must be another output for each"),
        (({}, {"embedding": 2}), "encoder, embedding must be an output's name"),
        (({}, {"features": 7, "cells": None, "stage": None}), "outputs, embedding_2 must be 7"),
    ],
)
def test_encoders_that_fit_no_head_are_refused(made, changed, named):
    path = made(lambda manifest: several(manifest, *changed))
    with pytest.raises(BundleError, match=named):
        bundle.open(path)


def test_an_only_encoder_names_neither_heads_nor_output(made):
    for field in ({"tasks": ["age", "sex"]}, {"embedding": "other"}):
        path = made(lambda manifest, field=field: manifest["encoder"].update(field))
        with pytest.raises(BundleError, match=r"encoder, (tasks|embedding) must be"):
            bundle.open(path)


def test_the_demonstrations_manifest_is_fine(made):
    assert list(bundle.open(made()).tasks) == ["age", "sex"]


@pytest.mark.parametrize(
    ("keys", "value", "named"),
    [
        (["name"], ["x"], "name"),
        (["name"], "\x1b[2J", "cannot be shown"),
        (["files"], "x", "files"),
        (["files", MODEL], [], "files, model.onnx"),
        (["files", MODEL, "bytes"], "1", "files, model.onnx"),
        (["files", MODEL, "sha256"], None, "files, model.onnx"),
        (["encoder"], [], "encoder"),
        (["encoder", "features"], 1 << 40, "features"),
        (["encoder", "patch"], [1, 2], "patch"),
        (["model"], {"float32": ["x"]}, "model"),
        (["strip"], {"segment": MODEL}, "strip must be files to locate"),
        (["template"], [], "template"),
        (["trust"], 3, "trust"),
        (["self_test"], {}, "outputs"),
        (["self_test", "outputs", "age"], [], "outputs"),
        (["self_test", "outputs", "embedding"], [1.0], "as many as the features"),
        (["self_test", "tolerance", "float32"], "x", "tolerance"),
        (["self_test", "tolerance", "tasks"], {"age": 1}, "tolerance"),
        (["calibration"], 0.5, "calibration"),
        (["calibration"], {"contrast": [1, 2, 3]}, "calibration"),
        (["calibration"], {"contrast": [2, 1]}, "calibration"),
        (["demonstration"], "no", "demonstration"),
        (["limits"], [1], "limits"),
        (["tasks"], {}, "tasks"),
        (["tasks", 0], "age", "number 1"),
        (["tasks", 0, "name"], "../x", "number 1 cannot be: name"),
        (["tasks", 0, "name"], None, "number 1 cannot be: the key 'name'"),
        (["tasks", 1, "kind"], "both", "number 2 cannot be: kind"),
        (["tasks", 1, "classes"], ["F"], "number 2 cannot be: classes"),
        (["tasks", 1, "name"], "sex\n", "cannot be shown"),
        (["tasks", 0, "map"], 5, "map"),
        (["tasks", 0, "evidence"], "x", "evidence"),
        (["tasks", 0, "evidence", "value"], "7", "value"),
        (["tasks", 0, "evidence", "interval"], [1.0], "interval"),
        (["tasks", 0, "evidence", "beats_baseline"], 0, "beats_baseline"),
        (["tasks", 0, "evidence", "baseline_name"], {}, "baseline_name"),
        (["tasks", 0, "evidence", "label_quartiles"], [None], "label_quartiles"),
        (["tasks", 0, "evidence", "brain_volume"], {"value": 7.0}, "brain_volume"),
        (["tasks", 0, "evidence", "smoothed_scan"], "good", "smoothed_scan"),
        (
            ["tasks", 0, "evidence", "smoothed_scan"],
            {"value": 7.0, "head_is_better": False, "difference_interval": [2.0, "x"]},
            "smoothed_scan",
        ),
        (["self_test", "outputs", "age"], [float("nan")], "not finite"),
    ],
)
def test_each_field_is_checked(made, keys, value, named):
    def change(manifest):
        *path, last = keys
        for key in path:
            manifest = manifest[key]
        manifest[last] = value

    with pytest.raises(BundleError, match=named):
        bundle.open(made(change))


def test_two_tasks_of_one_name(made):
    def twice(manifest):
        manifest["tasks"].append(manifest["tasks"][0])

    with pytest.raises(BundleError, match="number 3 must be named otherwise"):
        bundle.open(made(twice))


def test_a_manifest_of_unreasonable_size_is_not_read(made, monkeypatch):
    monkeypatch.setattr(manifest, "MAX_BYTES", 100)
    with pytest.raises(BundleError, match="larger than"):
        bundle.open(made())
