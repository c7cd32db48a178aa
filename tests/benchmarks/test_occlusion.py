"""Maps and occlusion on a network whose answer is known: a head that looks for a bright blob."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import occlusion
from runtime.engines.onnxruntime import OnnxRuntimeEngine

onnx = pytest.importorskip("onnx")

SIDE, STRIDE, KERNEL, FEATURES = 64, 8, 9, 32
BLOB = (24, 40, 32)  # voxels; position (3, 5, 4)
HEADS = 24
TRUE = HEADS  # the head after the random ones


def gaussian(side: int, centre: tuple[float, ...], sigma: float) -> np.ndarray:
    grids = np.ogrid[tuple(slice(side) for _ in range(3))]
    squared = sum((g - c) ** 2 for g, c in zip(grids, centre, strict=True))
    return np.exp(-squared / (2 * sigma**2)).astype(np.float32)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> OnnxRuntimeEngine:
    """relu(convolution) -> heads: one weighs a matched filter alone, the others all of them."""
    rng = np.random.default_rng(0)
    filters = rng.normal(size=(FEATURES, 1, KERNEL, KERNEL, KERNEL)).astype(np.float32)
    filters[0, 0] = gaussian(KERNEL, (4, 4, 4), 3.0)
    filters /= np.sqrt((filters**2).sum(axis=(1, 2, 3, 4), keepdims=True))
    heads = rng.normal(size=(HEADS + 1, FEATURES)).astype(np.float32)
    heads[TRUE] = np.eye(FEATURES)[0]
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Mul", ["volume", "mask"], ["masked"]),
        helper.make_node(
            "Conv", ["masked", "filters"], ["conv"], pads=[KERNEL // 2] * 6, strides=[STRIDE] * 3
        ),
        helper.make_node("Relu", ["conv"], ["features"]),
        helper.make_node("Conv", ["features", "heads"], ["maps"]),
        helper.make_node("ReduceMean", ["maps"], ["values"], axes=[2, 3, 4], keepdims=0),
        helper.make_node("Transpose", ["values"], ["columns"], perm=[1, 0]),
        helper.make_node("Split", ["columns"], [f"head{i}" for i in range(HEADS + 1)], axis=0),
    ]
    shape = [1, 1, SIDE, SIDE, SIDE]
    graph = helper.make_graph(
        nodes,
        "blob",
        [helper.make_tensor_value_info(n, floats, shape) for n in ("volume", "mask")],
        [helper.make_tensor_value_info("maps", floats, [1, HEADS + 1, 8, 8, 8])]
        + [helper.make_tensor_value_info(f"head{i}", floats, [1, 1]) for i in range(HEADS + 1)],
        [
            onnx.numpy_helper.from_array(filters, "filters"),
            onnx.numpy_helper.from_array(heads[..., None, None, None], "heads"),
        ],
    )
    path: Path = tmp_path_factory.mktemp("blob") / "blob.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return OnnxRuntimeEngine(path)


@pytest.fixture(scope="module")
def scan() -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((SIDE,) * 3, dtype=bool)
    mask[4:60, 4:60, 4:60] = True
    noise = np.random.default_rng(1).normal(size=mask.shape).astype(np.float32)
    return (noise + 0.3 * gaussian(SIDE, BLOB, 9.0)) * mask, mask


@pytest.fixture(scope="module")
def maps(engine: OnnxRuntimeEngine, scan: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    volume, mask = scan
    inputs = {"volume": volume[None, None], "mask": mask.astype(np.float32)[None, None]}
    return engine.run(inputs)["maps"][0]


INNER = np.argwhere(np.ones((6, 6, 6))) + 1


def changes(engine, scan, head):
    """How much higher the output is than with a cube of mean intensity: (cubes,)."""
    cover = occlusion.with_mean(*scan)
    where = (INNER * STRIDE, STRIDE)
    return occlusion.losses(engine.run, *scan, *where, [head], (), cover).outputs[:, 0]


def test_a_map_and_occlusion_agree_on_what_the_head_looks_at(engine, scan, maps):
    found = changes(engine, scan, f"head{TRUE}")
    mapped = maps[TRUE][tuple(INNER.T)]
    assert occlusion.agreement(found, mapped) > 0.8
    for values in (found, mapped):
        peak = INNER[values.argmax()] * STRIDE
        assert np.abs(peak - BLOB).max() <= STRIDE


def test_a_map_and_occlusion_of_another_head_do_not_agree(engine, scan, maps):
    found = changes(engine, scan, "head0")
    assert abs(occlusion.agreement(found, maps[TRUE][tuple(INNER.T)])) < 0.5


def test_a_random_head_has_no_structure_and_does_not_find_the_blob(maps):
    inner = maps[:, 1:7, 1:7, 1:7]
    random = np.array([occlusion.structure(one) for one in inner[:TRUE]])
    assert occlusion.structure(inner[TRUE]) > 0.3
    assert np.median(np.abs(random)) < 0.1
    assert np.abs(random).max() < 0.3
    peaks = [np.unravel_index(np.abs(one - one.mean()).argmax(), one.shape) for one in inner]
    away = [np.abs((np.array(p) + 1) * STRIDE - BLOB).max() > STRIDE for p in peaks]
    assert not away[TRUE]
    assert np.mean(away[:TRUE]) > 0.75


def test_structure_is_one_for_a_ramp_and_none_for_noise():
    ramp = np.broadcast_to(np.linspace(0, 1, 40)[:, None, None], (40, 40, 40))
    assert occlusion.structure(ramp) > 0.9
    assert abs(occlusion.structure(np.random.default_rng(0).normal(size=(20, 20, 20)))) < 0.05


def blocks(volume: np.ndarray) -> np.ndarray:
    """Means of blocks of `STRIDE` voxels whose centres are the positions'."""
    rolled = np.pad(volume, STRIDE // 2, mode="constant")[:SIDE, :SIDE, :SIDE]
    cut = rolled.reshape(8, STRIDE, 8, STRIDE, 8, STRIDE)
    return cut.mean(axis=(1, 3, 5))


def network(features):
    """A network of one head whose map is `features(volume, mask)`, (8, 8, 8)."""

    def run(inputs):
        volume, mask = (inputs[name][0, 0].astype(np.float64) for name in ("volume", "mask"))
        found = features(volume, mask > 0)
        return {"map": found[None, None], "value": found.mean().reshape(1, 1)}

    return run


def z_score(volume, mask):
    return np.where(mask, (volume - volume[mask].mean()) / volume[mask].std(), 0.0)


def shares(features, scan, cover):
    volume, mask = scan
    wanted = ["value"], ["map"]
    found = occlusion.losses(network(features), *scan, INNER * STRIDE, STRIDE, *wanted, cover)
    mapped = features(volume.astype(np.float64), mask)[tuple(INNER.T)]
    assert found.maps.mean(axis=(2, 3, 4)) == pytest.approx(found.outputs, abs=1e-9)
    agreement = occlusion.agreement(found.outputs[:, 0], mapped)
    return np.median(occlusion.local_share(found.maps, INNER, 1)), agreement


def test_where_each_position_sees_its_cube_alone_the_two_agree(scan):
    found = shares(lambda v, m: blocks(np.maximum(v, 0.0)), scan, np.zeros_like)
    assert found[0] == pytest.approx(1.0)
    assert found[1] > 0.99


def test_where_each_position_sees_everything_they_say_different_things(scan):
    mixing = np.random.default_rng(5).normal(size=(512, 512)) / 512

    def far(volume, mask):
        return (mixing @ blocks(np.maximum(volume, 0.0)).ravel()).reshape(8, 8, 8)

    local, agreement = shares(far, scan, np.zeros_like)
    assert local < 0.15  # 27 of 512 positions are near: 5 % if spread evenly
    assert abs(agreement) < 0.3


def test_a_cube_of_mean_intensity_changes_every_position_by_the_z_score(scan):
    def features(volume, mask):
        return blocks(np.maximum(z_score(volume, mask), 0.0))

    mean, _ = shares(features, scan, occlusion.with_mean(*scan))
    assert mean < 0.9
    # Half of a block's voxels above the mean: in another order their sum is the same.
    lost = occlusion.losses(
        network(features), *scan, INNER[:20] * STRIDE, STRIDE, ["value"], ["map"],
        occlusion.shuffled(),
    )  # fmt: skip
    assert np.abs(lost.maps).max() < 1e-9
