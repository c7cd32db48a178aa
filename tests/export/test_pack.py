"""A bundle is complete, passes its own checks, and appears only when every gate has passed."""

from __future__ import annotations

import copy
import dataclasses
import errno
import gzip
import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import onnxruntime
import pytest
import torch

from export import memory, models
from export import pack as packing
from export.models import Wanted
from export.pack import assemble, pack, parts_of
from export.parts.card import WEIGHTS_LICENCE
from export.parts.manifest import BundleNotes
from export.reference import feed, reference, template_volume, variant
from export.verify import ActivationOverflow, parity
from fmtool import bundle as bundles
from fmtool import space
from fmtool.bundle.encoder import EncoderFacts
from fmtool.bundle.manifest import StripFiles
from fmtool.errors import (
    BundleError,
    CapabilityError,
    InputError,
    ParityError,
    ToleranceError,
    UsageError,
)
from runtime import trust as limits
from runtime.engines import selftest
from runtime.engines.choose import choose, open_engine
from training import encoders
from training.cohort import Cohort, Row
from training.evidence import trust

LOCATE = b"\n\x06locate"  # what no engine reads, but no group, which is refused


def make_template() -> bytes:
    """A ball of tissue on the grid, as a .nii.gz."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in space.GRID_SHAPE), indexing="ij")
    inside = sum(axis**2 for axis in axes) < 0.6
    grid = (inside * (100 + 40 * np.sin(9 * axes[0]) * np.cos(7 * axes[2]))).astype(np.uint8)
    return gzip.compress(nib.Nifti1Image(grid, space.grid_affine()).to_bytes(), 1)


@pytest.fixture(scope="module")
def parts():
    return {
        "strip_locate.onnx": LOCATE,
        "strip_segment.onnx": b"\n\x07segment",
        "template.nii.gz": make_template(),
        "LICENSES/deepbet.txt": b"MIT",
    }


@pytest.fixture
def small(monkeypatch, volumes, model32):
    """Gates on a small volume, and an export that is already made."""
    monkeypatch.setattr(packing, "template_volume", lambda template: volumes[0])
    monkeypatch.setattr(models, "export", lambda graph, path, **_: shutil.copyfile(model32, path))


FP16 = Wanted(fp16=True)
ABOUT = BundleNotes("A name", "random weights", ["One scanner."], {"contrast": [0.5, 1.0]}, True)


def test_the_manifest_says_what_is_in_the_bundle(small, graph, heads, parts, volumes, tmp_path):
    steps = []
    bundle = assemble(
        tmp_path / "new" / "a.fmtool",
        graph.encoder,
        heads,
        parts,
        ABOUT,
        Wanted(fp16=True, volumes=volumes[1:]),
        progress=steps.append,
    )
    manifest = bundles.open(bundle.path).manifest
    own = {"model.onnx", "model.fp16.onnx", "MODEL_CARD.md", "exposure.json"}
    assert set(manifest.files) == {*parts, *own}
    assert manifest.model == {"float32": "model.onnx", "float16": "model.fp16.onnx"}
    assert manifest.strip == StripFiles("strip_locate.onnx", "strip_segment.onnx")
    assert manifest.encoder == EncoderFacts(
        architecture="resnet18",
        width=0.0625,
        features=32,
        source="random weights",
        sha256=encoders.digest(graph.encoder),
        parameters=sum(p.numel() for p in graph.encoder.parameters()),
    )
    assert list(bundle.tasks) == ["age", "sex"]
    assert manifest.tasks["age"].map == "age_map"
    assert bundle.evidence("age") == heads[0].evidence
    assert manifest.calibration == {"contrast": [0.5, 1.0]}
    assert manifest.limits == ["One scanner."]
    assert manifest.demonstration is True
    assert bundle.file("strip_locate.onnx").read_bytes() == LOCATE
    assert "A name" in bundle.file("MODEL_CARD.md").read_text(encoding="utf-8")
    assert steps[0].startswith("Running torch on 3 volume")  # the template and two
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.fmtool"]


def test_what_the_heads_know_of_their_limits_comes_along(small, graph, heads, parts, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 32)), rng.normal(size=20)
    rows = [Row(str(i), Path(f"{i}.nii"), None, float(y[i]), None, i) for i in range(20)]
    cohort = Cohort(Path("t.csv"), heads[0].task, rows)
    known, summary = trust.split(x, cohort, x[0], 0.0, 0)
    age = dataclasses.replace(
        heads[0], trust=known, evidence={**heads[0].evidence, "trust": summary}
    )
    bundle = assemble(tmp_path / "a.fmtool", graph.encoder, [age, heads[1]], parts, ABOUT)
    assert bundle.manifest.trust == "trust.json"
    found = limits.read(bundles.open(bundle.path))
    assert list(found) == ["age"]
    assert found["age"].to_dict() == known.to_dict()
    assert "split conformal on 20 subjects" in bundle.file("MODEL_CARD.md").read_text(
        encoding="utf-8"
    )
    bare = assemble(tmp_path / "b.fmtool", graph.encoder, heads, parts, ABOUT)
    assert bare.manifest.trust is None
    assert limits.read(bare) == {}


def test_the_self_test_is_torchs_and_the_model_reproduces_it(
    small, graph, heads, parts, volumes, tmp_path
):
    bundle = assemble(tmp_path / "a.fmtool", graph.encoder, heads, parts, ABOUT)
    test = bundle.manifest.self_test
    inputs = feed(volumes[:1])
    with torch.inference_mode():
        wanted = graph(*(torch.from_numpy(array) for array in inputs.values()))
    found = onnxruntime.InferenceSession(bundle.model()).run(None, inputs)
    for i, name in enumerate(("embedding", "age", "sex")):
        np.testing.assert_array_equal(np.float32(test.outputs[name]), wanted[i][0].numpy())
        np.testing.assert_allclose(found[i][0], test.outputs[name], rtol=1e-4, atol=1e-5)
    tolerance = test.tolerance
    assert tolerance["float32"] < tolerance["float16"] <= tolerance["bfloat16"]
    assert test.by_task["age"]["float32"] == pytest.approx(0.012)
    assert "float16" not in bundle.manifest.model


def test_the_callers_encoder_is_left_as_it_was(small, graph, heads, parts, tmp_path):
    encoder = copy.deepcopy(graph.encoder).train()
    assemble(tmp_path / "a.fmtool", encoder, heads, parts, ABOUT)
    assert encoder.training


def test_parts_come_from_another_bundle(small, graph, heads, parts, tmp_path):
    theirs = {**parts, WEIGHTS_LICENCE: b"of the first bundle's weights"}
    first = assemble(tmp_path / "first.fmtool", graph.encoder, heads, theirs, ABOUT)
    second = pack(tmp_path / "second.fmtool", graph.encoder, heads[:1], first.path, source="mine")
    assert WEIGHTS_LICENCE in first.manifest.files
    assert WEIGHTS_LICENCE not in second.manifest.files
    for name, content in parts_of(second).items():
        assert content.read_bytes() == parts[name]
    assert second.name == "second"
    assert second.manifest.calibration == {"contrast": [0.5, 1.0]}
    assert second.manifest.demonstration is False
    assert second.manifest.encoder.source == "mine"


def test_a_checkpoint_names_its_source(small, graph, heads, parts, tmp_path):
    folder = encoders.save_encoder(tmp_path / "encoder", graph.encoder, "ours, seed 0")
    about = dataclasses.replace(ABOUT, source="")
    bundle = assemble(tmp_path / "a.fmtool", folder, heads, parts, about)
    assert bundle.manifest.encoder.source == "ours, seed 0"


def test_the_manifest_and_the_card_say_how_close_each_model_is(
    small, graph, heads, parts, tmp_path
):
    told = []
    bundle = assemble(
        tmp_path / "a.fmtool", graph.encoder, heads, parts, ABOUT, FP16, exported=told.append
    )
    exact, half = bundle.manifest.parity["float32"], bundle.manifest.parity["float16"]
    assert exact["embedding"] < exact["tolerance"] == 1e-5
    assert exact["embedding"] < half["embedding"] < half["tolerance"] == 5e-3
    assert half["batches"] == [1, 2]
    assert half["volumes"] == 2  # the template and its variant
    assert half["tasks"]["age"]["unit"] == "years"
    assert half["tasks"]["sex"]["unit"] == "logit"
    assert 0 < half["tasks"]["age"]["shift"] < half["tasks"]["age"]["allowed"] == pytest.approx(0.6)
    assert half["worst"]["share"] <= 1
    assert 0 < half["peak"]["activation"] < 8188
    assert "peak" not in exact
    text = bundle.file("MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"| float16 | {half['embedding']:.2g} | age {half['tasks']['age']['shift']:.2g}" in text
    assert [model.precision for model in told] == ["float32", "float16"]
    assert "of its tolerance" in told[1].describe()


@pytest.mark.slow
def test_an_int8_model_is_gated_by_its_heads_own_errors(
    small, graph, heads, parts, volumes, tmp_path
):
    known = dataclasses.replace(
        heads[0], evidence={**heads[0].evidence, "metric": "MAE", "value": 50}
    )
    told = []
    bundle = assemble(
        tmp_path / "a.fmtool", graph.encoder, [known, heads[1]], parts, ABOUT,
        Wanted(volumes=volumes[2:], int8=volumes[1:2]), exported=told.append,
    )  # fmt: skip
    assert bundle.manifest.model == {"float32": "model.onnx", "int8": "model.int8.onnx"}
    found = bundle.manifest.parity["int8"]
    assert found["embedding"] <= found["tolerance"] == 3e-2
    assert found["tasks"]["age"]["allowed"] == pytest.approx(5.0)
    assert found["tasks"]["sex"]["allowed"] == pytest.approx(0.2)
    assert set(found["layers"].values()) <= {"int8", "float32"}
    assert len(found["layers"]) == 20
    assert "convolutions in int8" in told[1].describe()
    test = bundle.manifest.self_test
    tolerance = test.tolerance
    assert test.by_task["age"]["int8"] == pytest.approx(5.0)
    assert test.by_task["sex"]["int8"] == pytest.approx(0.2)
    assert tolerance["int8"] > tolerance["bfloat16"]


@pytest.mark.slow
def test_an_int8_model_without_int8_is_refused(
    small, graph, heads, parts, volumes, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        models.int8_gate, "Score", lambda *judged, every=True: lambda path: float("nan")
    )
    with pytest.raises(ParityError, match=r"no convolution bears int8: .* leave --int8 out"):
        assemble(
            tmp_path / "a.fmtool", graph.encoder, heads, parts, ABOUT,
            Wanted(volumes=volumes[2:], int8=volumes[1:2]),
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_declared_batches_are_run(small, graph, heads, parts, tmp_path):
    bundle = assemble(
        tmp_path / "a.fmtool", graph.encoder, heads, parts, ABOUT, Wanted(batches=(1, 4, 8))
    )
    assert bundle.manifest.parity["float32"]["batches"] == [1, 4, 8]


def test_a_batch_beyond_this_machines_memory_is_refused_before_it_is_tried(
    small, monkeypatch, graph, heads, parts, tmp_path
):
    monkeypatch.setattr(memory, "free_memory", lambda: 2**20)
    with pytest.raises(CapabilityError, match=r"at batch 8 takes about .* smaller --batch"):
        assemble(tmp_path / "a.fmtool", graph.encoder, heads, parts, ABOUT, Wanted(batches=(1, 8)))
    monkeypatch.setattr(memory, "free_memory", lambda: 2 * 4 * 4 * 24 * 32 * 32)
    assemble(tmp_path / "b.fmtool", graph.encoder, heads, parts, ABOUT, Wanted(batches=(1,)))
    with pytest.raises(CapabilityError, match=r"FP16 rounding takes about .* leave out --fp16"):
        assemble(
            tmp_path / "a.fmtool",
            graph.encoder,
            heads,
            parts,
            ABOUT,
            Wanted(fp16=True, batches=(1,)),
        )
    assert [path.name for path in tmp_path.iterdir()] == ["b.fmtool"]


def test_the_largest_activation_is_the_first_layers(model32, graph):
    assert memory.largest_activation(model32) == 4 * 4 * 24 * 32 * 32
    assert memory.free_memory() > 2**20


def test_the_variant_is_another_volume_and_a_brain(volumes):
    volume, mask = variant(volumes[0])
    assert volume.dtype == mask.dtype == np.float32
    assert mask.sum() == volumes[0][1].sum()
    assert (volume > 0).sum() == (volumes[0][0] > 0).sum()
    moved = np.roll(volumes[0][0], (4, -6, 5), axis=(0, 1, 2))
    inside = mask > 0
    assert np.corrcoef(volume[inside], moved[inside])[0, 1] < 0.999  # not linear in the old one


def test_a_failed_float32_gate_writes_nothing(small, graph, heads, parts, tmp_path):
    other = copy.deepcopy(graph.encoder)
    with torch.no_grad():
        other.layer3[0].conv1.weight.mul_(1.01)
    with pytest.raises(ToleranceError):
        assemble(tmp_path / "new" / "a.fmtool", other, heads, parts, ABOUT)
    assert not list(tmp_path.iterdir())


def test_a_failed_fp16_gate_writes_nothing(
    small, monkeypatch, graph, heads, parts, volumes, tmp_path
):
    monkeypatch.setattr("export.verify.FP16_LIMIT", 1.0)
    with pytest.raises(ActivationOverflow):
        assemble(tmp_path / "a.fmtool", graph.encoder, heads, parts, ABOUT, FP16)
    assert not list(tmp_path.iterdir())


def test_a_failed_gate_keeps_the_bundle_that_was_there(small, graph, heads, parts, tmp_path):
    out = tmp_path / "a.fmtool"
    digest = assemble(out, graph.encoder, heads, parts, ABOUT).digest
    other = dataclasses.replace(heads[0], bias=36.0)
    with pytest.raises(ToleranceError):
        assemble(out, graph.encoder, [other, heads[1]], parts, ABOUT, overwrite=True)
    assert bundles.open(out).digest == digest


@pytest.mark.parametrize(
    "place", ["export.onnx.onnx.save_model", "fmtool.bundle.write.shutil.copyfile"]
)
def test_a_full_disk_at_any_stage_is_one_sentence(
    small, monkeypatch, graph, heads, parts, tmp_path, place
):
    def full(*words, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / "a.fmtool"
    digest = assemble(out, graph.encoder, heads, parts, ABOUT).digest
    monkeypatch.setattr(place, full)
    with pytest.raises(BundleError, match=r"cannot write .*a\.fmtool \(No space left on device\)"):
        assemble(out, graph.encoder, heads, parts, ABOUT, FP16, overwrite=True)
    assert bundles.open(out).digest == digest
    assert list(tmp_path.iterdir()) == [out]


def test_mistakes_are_said_before_any_work(monkeypatch, graph, heads, parts, tmp_path):
    monkeypatch.setattr(packing, "reference", None)  # calling it would fail the test
    there = tmp_path / "there.fmtool"
    there.mkdir()
    with pytest.raises(BundleError, match="exists"):
        assemble(there, graph.encoder, heads, parts, ABOUT)
    out = tmp_path / "a.fmtool"
    with pytest.raises(BundleError, match=r"ends in \.fmtool"):
        assemble(tmp_path / "a", graph.encoder, heads, parts, ABOUT)
    with pytest.raises(BundleError, match=r"lack strip_locate\.onnx, template\.nii\.gz"):
        assemble(out, graph.encoder, heads, {"strip_segment.onnx": b""}, ABOUT)
    foreign = dataclasses.replace(heads[0], encoder_sha256="abc" * 8)
    with pytest.raises(InputError, match="age was fitted on the encoder abcabcabcabc"):
        assemble(out, graph.encoder, [foreign], parts, ABOUT)
    with pytest.raises(UsageError, match="rename a task"):
        assemble(out, graph.encoder, [heads[0], heads[0]], parts, ABOUT)
    with pytest.raises(BundleError, match="does not exist"):
        pack(out, graph.encoder, heads, tmp_path / "nothing.fmtool")


def test_the_self_test_volume_is_the_template_on_the_crop(parts, tmp_path):
    volume, mask = template_volume(parts["template.nii.gz"])
    assert volume.shape == mask.shape == space.CROP_SHAPE
    assert volume.dtype == mask.dtype == np.float32
    path = tmp_path / "template.nii.gz"
    path.write_bytes(parts["template.nii.gz"])
    np.testing.assert_array_equal(template_volume(path)[0], volume)
    grid = np.asarray(nib.load(path).dataobj)
    assert volume[65, 90, 95] == grid[96, 109, 75] > 0
    np.testing.assert_array_equal(mask, volume > 0)


@pytest.fixture(scope="module")
def full_size(graph, heads, parts, tmp_path_factory):
    """A narrow encoder's bundle on the model's own 150x192x192, exported and gated in full."""
    out = tmp_path_factory.mktemp("full") / "a.fmtool"
    return assemble(out, graph.encoder, heads, parts, ABOUT, FP16)


@pytest.mark.slow
def test_at_the_models_own_size(full_size, parts):
    volume = template_volume(parts["template.nii.gz"])
    session = onnxruntime.InferenceSession(full_size.model("float16"))
    assert session.get_inputs()[0].shape == ["batch", 1, *space.CROP_SHAPE]
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, feed([volume])), strict=True))
    wanted = np.array(full_size.manifest.self_test.outputs["embedding"])
    assert outputs["embedding"].shape == (1, 32)
    assert np.linalg.norm(outputs["embedding"][0] - wanted) < 5e-3 * np.linalg.norm(wanted)
    assert outputs["age_map"].shape == (1, 1, 10, 12, 12)


@pytest.mark.slow
def test_the_runtimes_self_test_accepts_it(full_size):
    for engine in ("openvino", "onnxruntime"):
        choice = choose(engine, "cpu")
        with open_engine(full_size.model(), choice) as opened:
            assert set(selftest.run(opened, full_size).errors) == {"embedding", "age", "sex"}


@pytest.mark.slow
@pytest.mark.data
def test_parity_on_a_real_brain(full_size, graph, data_dir):
    brain = next((data_dir / "template").glob("*.nii.gz")).read_bytes()
    volume = template_volume(brain)
    assert volume[1].mean() > 0.2
    expected = reference(graph, [volume])
    assert parity(full_size.model(), graph, [volume], 1e-5, expected=expected).worst.share <= 1
    half = parity(full_size.model("float16"), graph, [volume], 5e-3, expected=expected)
    assert half.worst.share <= 1
