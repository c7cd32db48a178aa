"""A graph that takes anything from outside its file is refused, wherever in it that stands."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from fmtool import bundle
from fmtool.bundle import graph, seal
from fmtool.bundle.signing import bundle as signature
from fmtool.bundle.signing import key_files
from fmtool.errors import BundleError
from fmtool.files import sha256

onnx = pytest.importorskip("onnx", reason="onnx is not installed")


def tensor(outside):
    made = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [1], [1.0])
    if outside:
        made.data_location = onnx.TensorProto.EXTERNAL
        entry = made.external_data.add()
        entry.key, entry.value = "location", "weights.bin"
    return made


def plain(name="g", **more):
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    return onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], name, [x], [y])


def initializer(g, outside):
    g.initializer.append(tensor(outside))


def constant(g, outside):
    g.node.append(onnx.helper.make_node("Constant", [], ["c"], value=tensor(outside)))


def subgraph(g, outside):
    inner = plain("inner")
    initializer(inner, outside)
    g.node.append(onnx.helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner))


def sparse(g, outside):
    made = g.sparse_initializer.add()
    made.values.CopyFrom(tensor(outside))


def listed(g, outside):
    attribute = onnx.AttributeProto(name="t", type=onnx.AttributeProto.TENSORS)
    attribute.tensors.append(tensor(outside))
    g.node[0].attribute.append(attribute)


PLACES = [initializer, constant, subgraph, sparse, listed]


@pytest.mark.parametrize("place", PLACES)
def test_weights_outside_are_refused_wherever_they_are_named(place):
    for outside in (False, True):
        g = plain()
        place(g, outside)
        data = onnx.helper.make_model(g).SerializeToString()
        if outside:
            with pytest.raises(ValueError, match="another file"):
                graph.check(data)
        else:
            graph.check(data)


def test_in_a_function_and_with_half_of_the_reference(tmp_path):
    model = onnx.helper.make_model(plain())
    function = model.functions.add()
    function.node.append(onnx.helper.make_node("Constant", [], ["c"], value=tensor(True)))
    with pytest.raises(ValueError, match="another file"):
        graph.check(model.SerializeToString())
    half = tensor(False)
    half.external_data.add().key = "location"
    model = onnx.helper.make_model(plain())
    model.graph.initializer.append(half)
    with pytest.raises(ValueError, match="another file"):
        graph.check(model.SerializeToString())


def test_a_compiled_program_is_refused():
    g = plain()
    g.node.append(onnx.helper.make_node("EPContext", [], ["c"], domain="com.microsoft"))
    with pytest.raises(ValueError, match="compiled program"):
        graph.check(onnx.helper.make_model(g).SerializeToString())


@pytest.mark.parametrize("data", [b"", b"\x08\x08", b"\xff" * 40, b"no graph", b"\x3a\x7f"])
def test_what_no_engine_reads_is_left_to_it(data):
    graph.check(data)


def test_what_hides_a_reference_is_refused():
    g = plain()
    initializer(g, True)
    data = onnx.helper.make_model(g).SerializeToString()
    group = bytes([(90 << 3 | 3) & 0x7F | 0x80, 90 >> 4, (90 << 3 | 4) & 0x7F | 0x80, 90 >> 4])
    onnx.ModelProto().ParseFromString(group + data)  # which others pass over
    with pytest.raises(ValueError, match="groups"):
        graph.check(group + data)
    with pytest.raises(ValueError, match="own format"):
        graph.check(b"\0\0\0\0ORTM" + data)
    deep = plain()
    for _ in range(25):
        outer = plain()
        outer.node.append(onnx.helper.make_node("If", ["x"], ["z"], then_branch=deep))
        deep = outer
    with pytest.raises(ValueError, match="without end"):
        graph.check(onnx.helper.make_model(deep).SerializeToString())


@pytest.fixture
def outside(toy, tmp_path):
    """A bundle whose every digest is right, and whose model keeps its weights beside itself."""
    folder = tmp_path / "outside.fmtool"
    shutil.copytree(toy.path, folder)
    g = plain()
    initializer(g, True)
    name = toy.manifest.model["float32"]
    (folder / name).write_bytes(onnx.helper.make_model(g).SerializeToString())
    data = json.loads((folder / "manifest.json").read_text())
    data["files"][name] = {
        "sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size
    }  # fmt: skip
    raw = json.dumps(data).encode()
    (folder / "manifest.json").write_bytes(raw)
    (folder / seal.FILE).write_bytes(seal.of(raw, "manifest.json"))
    return folder


def test_such_a_bundle_is_neither_opened_nor_signed_nor_verified(outside, tmp_path, monkeypatch):
    with pytest.raises(BundleError, match="another file"):
        bundle.open(outside)
    with pytest.raises(BundleError, match="another file"):
        bundle.open_unsigned(outside)
    pytest.importorskip("cryptography", reason="the sign extra is absent")
    key_files.generate(tmp_path / "key")
    signature.sign(outside / "manifest.json", key_files.read_private(tmp_path / "key"))
    monkeypatch.setenv(key_files.TRUSTED, str(tmp_path / "key.pub"))
    with pytest.raises(BundleError, match="another file"):
        bundle.open(outside)


def test_what_is_loaded_is_what_was_verified(toy, tmp_path):
    folder = tmp_path / "copy.fmtool"
    shutil.copytree(toy.path, folder)
    opened = bundle.open(folder)
    name = opened.manifest.model["float32"]
    assert opened.graph() == (toy.path / name).read_bytes()
    data = bytearray(opened.graph())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(BundleError, match="does not match"):
        opened.graph()
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(BundleError, match="cannot be read"):
        opened.graph()
