"""The last nodes of a bundle's model changed byte by byte, and read by onnx and ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from fmtool.bundle.model_graph import ModelGraph
from fmtool.errors import BundleError

RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(size=6).astype(np.float32)
VOLUME = RNG.normal(size=(2, 6, 3, 2, 2)).astype(np.float32)


@pytest.fixture
def model(tmp_path):
    """volume -> features (a ReLU) -> embedding (their mean) -> age and other, with age's map."""
    info = helper.make_tensor_value_info
    value = {"age": WEIGHT, "other": -WEIGHT}
    nodes = [
        helper.make_node("Relu", ["volume"], ["features"]),
        helper.make_node("ReduceMean", ["features", "space"], ["embedding"], keepdims=0),
    ]
    constants = {"space": np.array([2, 3, 4]), "one": np.array([1])}
    for name, weight in value.items():
        constants |= {f"w_{name}": weight[None], f"b_{name}": np.float32([3.0])}
        nodes += [
            helper.make_node("Mul", ["embedding", f"w_{name}"], [f"{name}_p"]),
            helper.make_node("ReduceSum", [f"{name}_p", "one"], [f"{name}_s"]),
            helper.make_node("Add", [f"{name}_s", f"b_{name}"], [name]),
        ]
    constants["w_map"] = WEIGHT.reshape(1, 6, 1, 1, 1)
    nodes += [
        helper.make_node("Mul", ["features", "w_map"], ["map_p"]),
        helper.make_node("ReduceSum", ["map_p", "one"], ["map_s"]),
        helper.make_node("Add", ["map_s", "b_age"], ["age_map"]),
    ]
    outputs = [info("embedding", TensorProto.FLOAT, ["batch", 6])]
    outputs += [info(name, TensorProto.FLOAT, ["batch", 1]) for name in value]
    outputs += [info("age_map", TensorProto.FLOAT, ["batch", 1, 3, 2, 2])]
    graph = helper.make_graph(
        nodes,
        "g",
        [info("volume", TensorProto.FLOAT, ["batch", 6, 3, 2, 2])],
        outputs,
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    path = tmp_path / "model.onnx"
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path)
    return path


def run(graph, tmp_path, **inputs):
    """The changed model's outputs, by name, once onnx's own checker is content."""
    path = tmp_path / "changed.onnx"
    path.write_bytes(bytes(graph))
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs or {"volume": VOLUME}), strict=True))


def test_what_is_read_is_written(model, tmp_path):
    assert onnx.load_from_string(bytes(ModelGraph.read(model.read_bytes()))) == onnx.load(model)


def test_an_output_is_rescaled_and_its_map_with_it(model, tmp_path):
    before = run(ModelGraph.read(model.read_bytes()), tmp_path)
    graph = ModelGraph.read(model.read_bytes())
    for name in ("age", "age_map"):
        graph.rescale(name, 0.5, 3.0)
        graph.rescale(name, 2.0, -1.0)  # a child's child
    after = run(graph, tmp_path)
    np.testing.assert_allclose(after["age"], before["age"] + 5.0, rtol=1e-6)
    np.testing.assert_allclose(after["age_map"].mean((2, 3, 4)), after["age"], rtol=1e-5)
    np.testing.assert_array_equal(after["other"], before["other"])


def test_a_head_is_added_with_its_map(model, tmp_path):
    graph = ModelGraph.read(model.read_bytes())
    weight = RNG.normal(size=6)
    assert graph.add_head("gap", "gap_map", weight, 1.5)
    found = run(graph, tmp_path)
    np.testing.assert_allclose(
        found["gap"][:, 0], found["embedding"] @ weight + 1.5, rtol=1e-5, atol=1e-6
    )
    assert found["gap_map"].shape == (2, 1, 3, 2, 2)
    np.testing.assert_allclose(found["gap_map"].mean((2, 3, 4)), found["gap"], rtol=1e-5)


def test_a_gridded_models_head_has_the_weights_of_its_cells(model, tmp_path):
    """Features split 3 = 2 + 1 along z, 2 = 1 + 1 along y, and x in one."""
    onnx.save(gridded(onnx.load(model)), model)
    graph = ModelGraph.read(model.read_bytes())
    graph.keep(["embedding"])
    weight = RNG.normal(size=24).astype(np.float32)
    assert graph.add_head("gap", "gap_map", weight, 1.5)
    found = run(graph, tmp_path)
    value = found["embedding"] @ weight + 1.5
    np.testing.assert_allclose(found["gap"][:, 0], value, rtol=1e-5, atol=1e-6)
    laid = weight.reshape(6, 2, 2, 1).repeat([2, 1], 1).repeat(2, 3)
    wanted = (np.maximum(VOLUME, 0) * laid).sum(1, keepdims=True) + 1.5
    np.testing.assert_allclose(found["gap_map"], wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["gap_map"].mean((2, 3, 4)), found["gap"], rtol=1e-4)


def gridded(model):
    """The embedding by sums over the cells of one axis after the other, over 12 positions."""
    nodes, of = [], "features"
    for axis, parts in ((2, [2, 1]), (3, [1, 1]), (4, [2])):
        split = numpy_helper.from_array(np.array(parts), f"parts{axis}")
        where = numpy_helper.from_array(np.array([axis]), f"axis{axis}")
        model.graph.initializer.extend([split, where])
        names = [f"part{axis}_{i}" for i in range(len(parts))]
        nodes.append(helper.make_node("Split", [of, split.name], names, axis=axis))
        nodes += [helper.make_node("ReduceSum", [n, where.name], [f"{n}_s"]) for n in names]
        of = f"cells{axis}"
        nodes.append(helper.make_node("Concat", [f"{n}_s" for n in names], [of], axis=axis))
    share = numpy_helper.from_array(np.float32(1 / 12), "share")
    flat = numpy_helper.from_array(np.array([-1, 24]), "flat")
    model.graph.initializer.extend([share, flat])
    nodes.append(helper.make_node("Mul", [of, share.name], ["means"]))
    nodes.append(helper.make_node("Reshape", ["means", flat.name], ["embedding"]))
    del model.graph.node[1:], model.graph.output[1:]
    model.graph.node.extend(nodes)
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 24
    return model


def test_a_model_that_hides_its_features_gets_a_head_without_a_map(model, tmp_path):
    hidden = onnx.load(model)
    hidden.graph.node[1].output[0] = "mean"
    hidden.graph.node.insert(2, helper.make_node("Identity", ["mean"], ["embedding"]))
    onnx.save(hidden, model)
    graph = ModelGraph.read(model.read_bytes())
    assert not graph.add_head("gap", "gap_map", np.ones(6), 0.0)
    assert set(run(graph, tmp_path)) == {"embedding", "age", "other", "age_map", "gap"}


def test_what_serves_no_output_goes(model, tmp_path):
    graph = ModelGraph.read(model.read_bytes())
    graph.keep(["embedding", "other"])
    assert set(run(graph, tmp_path)) == {"embedding", "other"} == set(graph.outputs)
    left = {i.name for i in onnx.load(tmp_path / "changed.onnx").graph.initializer}
    assert left == {"space", "one", "w_other", "b_other"}


def test_the_heads_alone_read_an_embedding(model, tmp_path):
    graph = ModelGraph.read(model.read_bytes())
    graph.cut(["age"])
    embedding = RNG.normal(size=(2, 6)).astype(np.float32)
    found = run(graph, tmp_path, embedding=embedding)
    np.testing.assert_allclose(found["age"][:, 0], embedding @ WEIGHT + 3.0, rtol=1e-5)


@pytest.mark.parametrize("content", [b"", b"\x3a\xff\xff\xff\xff\x0f", b"\xff" * 40, b"no model"])
def test_what_is_no_model_is_refused(content):
    with pytest.raises(BundleError, match=r"model\.onnx is no ONNX model"):
        ModelGraph.read(content, "model.onnx")


def test_a_cut_model_is_refused_or_read_wherever_it_ends(model):
    whole = model.read_bytes()
    for end in range(0, len(whole), 7):
        with pytest.raises(BundleError):
            ModelGraph.read(whole[:end])
