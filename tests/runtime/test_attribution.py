"""Maps: they add up, lie where the network looks, and are compared with the template's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from fmtool import bundle as bundles
from fmtool import space
from fmtool.bundle import Bundle
from fmtool.errors import BundleError, CapabilityError
from runtime import attribution
from runtime.attribution import Attribution
from runtime.engines.onnxruntime import OnnxRuntimeEngine
from runtime.engines.openvino import OpenVINOEngine
from runtime.transform import about

RESNET = None  # has no patches
SHAPE = (10, 12, 12)


def made(values: np.ndarray, reference: np.ndarray | None = None) -> Attribution:
    affine = attribution.placed(values.shape, RESNET)
    return Attribution(
        values.astype(np.float32), float(values.mean()), reference, np.asarray(affine)
    )


@pytest.fixture(scope="module")
def demo() -> Iterator[Bundle]:
    with bundles.open() as opened:
        yield opened


@pytest.fixture(scope="module")
def inputs(demo: Bundle) -> dict[str, np.ndarray]:
    """A brain other than the template: brighter in front, a little narrower."""
    grid = np.asarray(nib.load(demo.file("template.nii.gz")).dataobj, dtype=np.float32)
    crop = np.roll(np.ascontiguousarray(space.to_crop(grid)), 3, axis=2)
    crop *= np.linspace(0.8, 1.2, crop.shape[1], dtype=np.float32)[:, None]
    return {"volume": crop[None, None], "mask": (crop > 0).astype(np.float32)[None, None]}


ENGINES = [
    pytest.param(OnnxRuntimeEngine, "float32", id="onnxruntime"),
    pytest.param(OpenVINOEngine, "float32", id="openvino"),
    pytest.param(OpenVINOEngine, "bfloat16", id="openvino-bfloat16"),
]


@pytest.mark.parametrize(("library", "precision"), ENGINES)
def test_on_every_engine_the_mean_of_a_map_is_the_output(
    demo: Bundle, inputs: dict[str, np.ndarray], library: Any, precision: str
) -> None:
    try:
        engine = library(demo.model(), precision=precision)
    except CapabilityError as error:
        pytest.skip(str(error))
    with engine:
        outputs = engine.run(inputs)
    found = attribution.read(demo, outputs, {}, ["age", "sex"])
    assert set(found) == {"age", "sex"}
    for task, (one,) in found.items():
        allowed = 1e-4 if precision == "float32" else 1e-2
        assert abs(one.values.mean(dtype=np.float64) / one.output - 1) <= allowed
        assert attribution.unequal(one, task, precision) is None
        assert np.ptp(one.values) > 0.1


def test_the_fp16_graph_adds_up(demo: Bundle, inputs: dict[str, np.ndarray]) -> None:
    with OnnxRuntimeEngine(demo.model("float16")) as engine:  # the CPU computes it exactly enough
        outputs = engine.run(inputs)
    for (one,) in attribution.read(demo, outputs, {}, ["age", "sex"]).values():
        assert abs(one.values.mean(dtype=np.float64) / one.output - 1) <= 1e-2


def test_a_map_that_does_not_add_up_is_told() -> None:
    values = np.full(SHAPE, 40.0, dtype=np.float32)
    sound = Attribution(values, 40.003, None, np.eye(4))
    assert attribution.unequal(sound, "age", "float32") is None
    broken = Attribution(values, 40.1, None, np.eye(4))
    assert attribution.unequal(broken, "age", "float16") is None
    assert "does not add up" in (attribution.unequal(broken, "age", "float32") or "")
    assert attribution.unequal(Attribution(values, float("nan"), None, np.eye(4)), "age", "int8")


def test_what_every_scan_shares_falls_away_beside_the_template() -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(scale=100.0, size=SHAPE)
    shared[9, 11, 11] = 4e4  # a corner, as padding makes them
    own = rng.normal(size=SHAPE)
    found = made(shared + own, shared.astype(np.float32))
    np.testing.assert_allclose(found.difference, own, atol=4e-3)
    alone = made(shared + own)
    assert alone.difference.mean() == pytest.approx(0.0, abs=1e-2)
    assert alone.difference.max() > 3e4


def test_sampling_meets_the_positions_and_stays_level_beyond_the_last() -> None:
    values = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    found = made(values, np.zeros(SHAPE, np.float32))
    crop = found.sample(space.crop_affine(), space.CROP_SHAPE)
    assert crop.shape == space.CROP_SHAPE
    np.testing.assert_allclose(crop[::16, ::16, ::16], values, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(crop[8, 0, 0], values[:2, 0, 0].mean(), rtol=1e-5)
    np.testing.assert_array_equal(crop[145:, 176:, 176:], values[-1, -1, -1])


def test_positions_inside_are_those_whose_centre_lies_in_the_brain() -> None:
    mask = np.zeros(space.CROP_SHAPE, dtype=bool)
    mask[31:49, 60:68, 0:1] = True
    assert np.argwhere(made(np.zeros(SHAPE)).inside(mask)).tolist() == [[2, 4, 0], [3, 4, 0]]


def test_the_image_lies_on_the_scan() -> None:
    values = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    turn = about(
        np.array([3.0, -20.0, 10.0]), np.array([0.1, 0.2, -0.3]), np.array([5.0, 2.0, 9.0])
    )
    image = made(values).image(turn)
    assert image.shape == (12, 12, 10)
    assert np.asarray(image.dataobj).mean() == values.mean()
    z, y, x = 4, 7, 2
    assert np.asarray(image.dataobj)[x, y, z] == values[z, y, x]
    mni = space.crop_affine() @ [16 * z, 16 * y, 16 * x, 1]
    np.testing.assert_allclose(image.affine @ [x, y, z, 1], turn @ mni, atol=1e-6)


def test_a_residual_network_looks_at_multiples_of_its_stride() -> None:
    torch = pytest.importorskip("torch")
    from training import encoders

    encoder = encoders.build("resnet18", width=0.0625)
    stride, centre = 1, 0.0  # of position 0: each layer moves it by ((k - 1) / 2 - p) steps
    for name, layer in encoder.named_modules():
        if isinstance(layer, torch.nn.Conv3d | torch.nn.MaxPool3d):
            kernel, step, pad = (
                v[0] if isinstance(v, tuple) else v
                for v in (layer.kernel_size, layer.stride, layer.padding)
            )
            assert (kernel - 1) / 2 == pad, name
            centre += ((kernel - 1) / 2 - pad) * stride
            stride *= 1 if "downsample" in name else step
    assert (stride, centre) == (16, 0.0)
    affine = attribution.placed(SHAPE, RESNET)
    np.testing.assert_allclose(affine @ [3, 2, 5, 1], space.crop_affine() @ [48, 32, 80, 1])


def test_a_transformer_looks_at_its_patches() -> None:
    exact = attribution.placed((10, 12, 12), (15, 16, 16))
    np.testing.assert_allclose(exact @ [0, 0, 0, 1], space.crop_affine() @ [7, 7.5, 7.5, 1])
    np.testing.assert_allclose(exact @ [9, 11, 11, 1], space.crop_affine() @ [142, 183.5, 183.5, 1])
    padded = attribution.placed((10, 12, 12), (16, 16, 16))  # 160 voxels for 150
    np.testing.assert_allclose(padded @ [0, 0, 0, 1], space.crop_affine() @ [2.5, 7.5, 7.5, 1])


def test_a_map_of_no_known_network_is_refused() -> None:
    with pytest.raises(BundleError, match="11 positions along 150 voxels"):
        attribution.placed((11, 12, 12), RESNET)
