"""The model repository: what Triton's documentation asks for, and complete or absent."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from google.protobuf import text_format

from export.targets import triton
from export.targets.triton import block, field, text
from fmtool import bundle as bundles
from fmtool import space
from fmtool.errors import BundleError


def load_schema():
    """`model_config.py` beside this file, which pytest's import mode does not put on the path."""
    path = Path(__file__).with_name("model_config.py")
    spec = importlib.util.spec_from_file_location("model_config", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


parse = load_schema().parse


@pytest.fixture
def bundle():
    return bundles.open()


def config(folder):
    return parse((folder / "config.pbtxt").read_text(encoding="utf-8"))


def test_the_configuration_describes_the_model(bundle, tmp_path):
    folder = triton.write(tmp_path / "models", bundle, "float32", (1, 4, 8))
    found = config(folder)
    assert (folder.name, found.name) == ("demo", "demo")
    assert (found.backend, found.platform) == ("onnxruntime", "onnxruntime_onnx")
    assert found.max_batch_size == 8
    inputs = {i.name: list(i.dims) for i in found.input}
    assert inputs == {name: [1, *space.CROP_SHAPE] for name in ("volume", "mask")}
    outputs = {o.name: list(o.dims) for o in found.output}
    session = onnxruntime.InferenceSession(folder / "1" / found.default_model_filename)
    assert outputs == {o.name: o.shape[1:] for o in session.get_outputs()}
    assert {i.data_type for i in (*found.input, *found.output)} == {11}
    assert list(found.dynamic_batching.preferred_batch_size) == [4, 8]
    assert found.dynamic_batching.max_queue_delay_microseconds > 0
    assert found.version_policy.latest.num_versions == 1
    assert [(g.count, g.kind) for g in found.instance_group] == [(1, 0)]
    assert found.parameters["bundle_digest"].string_value == bundle.digest


def test_the_warm_up_is_the_template_with_its_brain(bundle, tmp_path):
    folder = triton.write(tmp_path / "models", bundle, "float32", (1, 2))
    found = config(folder)
    assert [warmup.batch_size for warmup in found.model_warmup] == [1, 2]
    feed = {}
    for name, tensor in found.model_warmup[0].inputs.items():
        assert tensor.data_type == 11
        raw = (folder / "warmup" / tensor.input_data_file).read_bytes()
        feed[name] = np.frombuffer(raw, "<f4").reshape(1, *tensor.dims)
    assert feed.keys() == {"volume", "mask"}
    assert set(np.unique(feed["mask"])) == {0.0, 1.0}
    session = onnxruntime.InferenceSession(folder / "1" / "model.onnx")
    (embedding,) = session.run(["embedding"], feed)
    wanted = bundle.manifest.self_test.outputs["embedding"]
    np.testing.assert_allclose(embedding[0], wanted, rtol=1e-3, atol=1e-4)


def test_an_empty_mask_gives_finite_outputs(model32, volumes):
    """As a request of zeros has: the z-score divides by no less than one voxel."""
    empty = np.zeros((1, 1, *volumes[0][0].shape), np.float32)
    for volume in (empty, empty + 900):
        outputs = onnxruntime.InferenceSession(model32).run(None, {"volume": volume, "mask": empty})
        assert all(np.isfinite(output).all() for output in outputs)


def test_fp16_and_an_engine_are_for_a_gpu(bundle, tmp_path):
    half = triton.write(tmp_path / "onnx", bundle, "float16", (1, 2))
    assert config(half).instance_group[0].kind == 1
    assert (half / "1" / "model.onnx").read_bytes() == bundle.model("float16").read_bytes()
    plan = tmp_path / "model.sm89.plan"
    plan.write_bytes(b"engine")
    folder = triton.write(tmp_path / "plan", bundle, "float16", (1, 2), plan)
    found = config(folder)
    assert (found.backend, found.platform) == ("tensorrt", "tensorrt_plan")
    assert found.instance_group[0].kind == 1
    assert [file.name for file in (folder / "1").iterdir()] == ["model.plan"]
    assert (folder / "1" / found.default_model_filename).read_bytes() == b"engine"


def test_a_batch_of_one_is_not_batched(bundle, tmp_path):
    found = config(triton.write(tmp_path, bundle, "float32", (1,)))
    assert found.max_batch_size == 1
    assert not found.HasField("dynamic_batching")
    assert len(found.model_warmup) == 1


def test_one_that_is_there_is_refused_or_replaced(bundle, tmp_path):
    folder = triton.write(tmp_path / "models", bundle, "float32", (1,))
    with pytest.raises(BundleError, match=r"models/demo exists; .*--overwrite"):
        triton.write(tmp_path / "models", bundle, "float32", (1,))
    triton.write(tmp_path / "models", bundle, "float16", (1,), overwrite=True)
    assert config(folder).parameters["precision"].string_value == "float16"
    assert [path.name for path in tmp_path.iterdir()] == ["models"]
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["demo"]


def test_another_folder_of_that_name_is_left_alone(bundle, tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match=r"holds no config\.pbtxt and is left as it is"):
        triton.write(tmp_path, bundle, "float32", (1,), overwrite=True)
    assert (tmp_path / "demo" / "thesis.txt").is_file()


def test_a_full_disk_leaves_nothing(bundle, tmp_path, monkeypatch):
    def full(source, target):
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(triton.shutil, "copyfile", full)
    with pytest.raises(BundleError, match=r"No space left on device.* free some space"):
        triton.write(tmp_path / "models", bundle, "float32", (1,))
    assert [path.name for path in tmp_path.rglob("*")] == ["models"]


def test_strings_survive_and_unknown_fields_do_not():
    odd = 'a "quoted" \\ näme\nof two lines'
    assert parse(field("name", text(odd))).name == odd
    with pytest.raises(text_format.ParseError):
        parse(block("input", field("sort", text("FP32"))))
