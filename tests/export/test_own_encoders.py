"""Heads with an encoder each, in one bundle: as each alone, with one preparation for all."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from export import models
from export import pack as packing
from export.graph import BundleGraph
from export.matched import matched
from export.models import Wanted
from export.onnx import export
from export.pack import assemble, parts_of
from export.parts.manifest import BundleNotes
from export.precision import to_fp16, trunk_nodes
from export.reference import reference
from fmtool import bundle as bundles
from fmtool.bundle import exposure
from fmtool.bundle.exposure import Exposure
from fmtool.bundle.manifest import Manifest
from fmtool.errors import InputError, UsageError
from training import encoders

ABOUT = BundleNotes("both", "made")


def _exposure(of: str, labels: bool) -> Exposure:
    known = frozenset({of * 16})
    shown = known if labels else frozenset()
    return Exposure(known, known, shown, shown)


OF_AGE, OF_SEX = _exposure("a", True), _exposure("b", False)


@pytest.fixture(scope="module")
def pair(graph, heads):
    """Two encoders of other weights, and a head of each, age's and sex's."""
    other = copy.deepcopy(graph.encoder)
    with torch.no_grad():
        torch.manual_seed(7)
        for weight in other.parameters():
            weight.add_(0.2 * weight.std(unbiased=False) * torch.randn_like(weight))
    networks = [graph.encoder, other]
    digests = [encoders.digest(network) for network in networks]
    assert digests[0] != digests[1]
    age, sex = heads
    return networks, [
        replace(age, encoder_sha256=digests[0], exposure=OF_AGE),
        replace(sex, encoder_sha256=digests[1], exposure=OF_SEX),
    ]


@pytest.fixture(scope="module")
def joint(pair):
    networks, heads = pair
    return BundleGraph(networks, heads, [0, 1])


@pytest.fixture(scope="module")
def model(joint, volumes, tmp_path_factory):
    shape = volumes[0][0].shape
    return export(joint, tmp_path_factory.mktemp("joint") / "model.onnx", shape=shape)


@pytest.fixture
def small(monkeypatch, volumes, model):
    """Gates on a small volume, and an export that is already made."""
    monkeypatch.setattr(packing, "template_volume", lambda template: volumes[0])
    monkeypatch.setattr(models, "export", lambda graph, path, **_: shutil.copyfile(model, path))


@pytest.fixture(scope="module")
def parts():
    with bundles.open() as demo:
        return parts_of(demo)


@pytest.fixture
def checkpoints(pair, tmp_path):
    """The two encoders as files, each with what it has seen."""
    networks, _ = pair
    return [
        encoders.save_encoder(tmp_path / name, network, f"fine-tuned on {name}", seen=seen)
        for name, network, seen in zip(("age", "sex"), networks, (OF_AGE, OF_SEX), strict=True)
    ]


def test_each_output_is_that_of_its_own_graph(pair, joint, volumes):
    networks, heads = pair
    found = reference(joint, volumes)
    assert list(found[0]) == ["embedding", "embedding_2", "age", "sex", "age_map", "sex_map"]
    for number, name in enumerate(("age", "sex")):
        alone = reference(BundleGraph(networks[number], [heads[number]]), volumes)
        for mine, own in zip(found, alone, strict=True):
            np.testing.assert_array_equal(mine[name], own[name])
            np.testing.assert_array_equal(mine[f"{name}_map"], own[f"{name}_map"])
            np.testing.assert_array_equal(mine[joint.embeddings[number]], own["embedding"])
    assert np.abs(found[0]["embedding"] - found[0]["embedding_2"]).max() > 0.01


def test_the_z_score_is_computed_once(model):
    graph = onnx.load(model).graph
    assert [node.op_type for node in graph.node].count("Sqrt") == 1
    assert [value.name for value in graph.input] == ["volume", "mask"]
    assert len([node for node in graph.node if node.op_type == "Conv"]) == 40


def test_fp16_reaches_every_encoder(model, joint, tmp_path):
    plain = onnx.load(model).graph
    trunks = [trunk_nodes(plain, name) for name in joint.embeddings]
    assert not trunks[0] & trunks[1]
    half = to_fp16(model, tmp_path / "half.onnx", embeddings=joint.embeddings)
    kinds = {w.name: w.data_type for w in onnx.load(half).graph.initializer}
    of_convolutions = [kind for name, kind in kinds.items() if name.endswith("conv1.weight")]
    assert set(of_convolutions) == {onnx.TensorProto.FLOAT16}
    assert half.stat().st_size < 0.6 * model.stat().st_size


def test_the_manifest_says_which_head_reads_which_encoder(
    small, pair, checkpoints, parts, tmp_path
):
    _, (age, sex) = pair
    heads = [sex, age]  # in another order than the encoders
    about = replace(ABOUT, source="")
    written = assemble(
        tmp_path / "both.fmtool", checkpoints, heads, parts, about, Wanted(fp16=True)
    )
    opened = bundles.open(written.path)
    manifest = opened.manifest
    assert list(opened.tasks) == ["sex", "age"]
    assert [e.tasks for e in manifest.encoders] == [["age"], ["sex"]]
    assert [e.embedding for e in manifest.encoders] == ["embedding", "embedding_2"]
    assert manifest.encoder_of("sex").sha256 == sex.encoder_sha256
    assert manifest.encoder_of("age").source == "fine-tuned on age"
    assert manifest.columns(manifest.encoder_of("sex")) == slice(32, 64)
    assert Manifest.from_dict(manifest.to_dict()) == manifest
    plain = json.loads((opened.path / "manifest.json").read_text(encoding="utf-8"))
    assert [each["tasks"] for each in plain["encoder"]] == [["age"], ["sex"]]
    assert set(manifest.self_test.outputs) == {"embedding", "embedding_2", "age", "sex"}
    assert manifest.parity["float16"]["embedding"] > manifest.parity["float32"]["embedding"]
    with pytest.raises(UsageError, match="has 2 encoders, of the heads age, sex, and"):
        _ = manifest.encoder
    seen = exposure.read(opened)
    assert seen.below("age") == OF_AGE
    assert seen.below("sex") == OF_SEX
    assert seen.of("age") == OF_AGE
    assert seen.encoder == OF_AGE | OF_SEX
    card = opened.file("MODEL_CARD.md").read_text(encoding="utf-8")
    of_age, of_sex = (line for line in card.splitlines() if line.startswith("- Of "))
    assert of_age.startswith("- Of age: a resnet18 of width 0.0625")
    assert f"fine-tuned on age; SHA-256 `{age.encoder_sha256}`" in of_age
    assert of_age.endswith("The images of 1 subjects set them, and the labels of 1 of these.")
    assert "fine-tuned on sex" in of_sex
    assert of_sex.endswith("and the labels of 0 of these.")


def test_what_fits_no_encoder_is_refused_by_name(pair, checkpoints):
    _, (age, sex) = pair
    say = lambda sentence: None  # noqa: E731

    def refused(given, heads, said):
        with pytest.raises(InputError, match=said):
            matched(given, heads, ABOUT, say)

    other = replace(age, encoder_sha256="abc" * 8)
    refused(checkpoints, [other, sex], "head of age was fitted on the encoder abcabcabcabc, which")
    unnamed = replace(sex, encoder_sha256="")
    refused(checkpoints, [age, unnamed], "head of sex does not say which encoder")
    refused(checkpoints, [age], r"no head was fitted on .*sex \(")
    refused([checkpoints[0], checkpoints[0], checkpoints[1]], [age, sex], "given twice")
    refused(checkpoints[:1], [age, sex], "head of sex was fitted on the encoder .*, not on this")


def test_int8_is_refused_in_one_sentence(small, pair, parts, volumes, tmp_path):
    networks, heads = pair
    with pytest.raises(UsageError, match="--int8 is for a bundle of one encoder, and this"):
        assemble(tmp_path / "a.fmtool", networks, heads, parts, ABOUT, Wanted(int8=volumes[:1]))
    assert not list(tmp_path.iterdir())
