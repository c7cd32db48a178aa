"""Skull stripping against deepbet: every step, the whole with stand-in networks, and real heads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from fmtool import bundle as bundles
from fmtool.bundle import Bundle
from fmtool.errors import PreprocessingError
from runtime.preprocess import strip as stage
from runtime.preprocess.strip import StripNets, strip

torch = pytest.importorskip("torch")
deepbet = pytest.importorskip("deepbet.bet")


class BrightNets:
    """Stands in for both networks: what is brighter than the mean of the training data is brain."""

    def locate(self, volume: np.ndarray) -> np.ndarray:
        return (volume > 0.6).astype(np.float32)

    segment = locate


class BrightNetwork(torch.nn.Module):
    """`BrightNets` as deepbet calls a network: two channels, the second is brain."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, volume: Any) -> Any:
        brain = (volume > 0.6).float()
        return torch.cat([1 - brain, brain], dim=1)


def phantom(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """A bright, holed ellipsoid off the centre, a small bright ball apart, and noise."""
    rng = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")

    def ball(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
        parts = zip((x, y, z), centre, radii, strict=True)
        return sum(((a - c) / r) ** 2 for a, c, r in parts) < 1

    head = rng.normal(20, 10, shape)
    head[ball((0.1, -0.05, 0.15), (0.55, 0.6, 0.5))] = 100
    head[ball((0.1, 0.0, 0.2), (0.2, 0.1, 0.1))] = 10  # a hole
    head[ball((-0.85, -0.85, -0.85), (0.1, 0.1, 0.1))] = 100  # a remnant apart
    return head.astype(np.float32)


@pytest.mark.parametrize(
    ("source", "target"),
    [((7, 9, 11), (16, 16, 16)), ((181, 5, 160), (128, 128, 128)), ((203, 4, 6), (256, 3, 6))],
)
def test_resize_is_pytorchs_nearest_exact(
    source: tuple[int, int, int], target: tuple[int, int, int]
) -> None:
    array = np.random.default_rng(0).normal(size=source).astype(np.float32)
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(array)[None, None], target, mode="nearest-exact"
    )[0, 0].numpy()
    np.testing.assert_array_equal(stage.resize(array, target), wanted)


def test_normalise_is_deepbets() -> None:
    from deepbet.utils import normalize

    volume = np.random.default_rng(0).gamma(2, 300, size=(40, 41, 42)).astype(np.float32)
    low, high = np.quantile(volume, (0.005, 0.995))
    wanted = normalize(torch.from_numpy(volume), float(low), float(high)).numpy()
    np.testing.assert_allclose(stage.normalise(volume, low, high), wanted, atol=1e-6)


@pytest.mark.parametrize("density", [0.08, 0.3, 0.6])
def test_largest_and_fill_holes_are_deepbets(density: float) -> None:
    import fill_voids
    from deepbet.utils import keep_largest_connected_component
    from scipy import ndimage

    noise = np.random.default_rng(3).normal(size=(30, 31, 32))
    smooth = ndimage.gaussian_filter(noise, 1.2)
    mask = smooth > np.quantile(smooth, 1 - density)
    wanted = keep_largest_connected_component(mask.astype(np.float32)) > 0
    np.testing.assert_array_equal(stage.largest(mask), wanted)
    np.testing.assert_array_equal(stage.fill_holes(mask), fill_voids.fill(mask.copy()))
    np.testing.assert_array_equal(stage.fill_holes(mask), ndimage.binary_fill_holes(mask))


def test_largest_counts_diagonal_neighbours() -> None:
    mask = np.zeros((6, 6, 6), dtype=bool)
    mask[[0, 1, 2], [0, 1, 2], [0, 1, 2]] = True  # three voxels that touch at corners
    mask[5, 5, 4:] = True
    assert stage.largest(mask).sum() == 3


def test_tight_is_the_smallest_box() -> None:
    mask = np.zeros((9, 9, 9), dtype=bool)
    mask[2:5, 0, 8] = True
    assert stage.tight(mask) == (slice(2, 5), slice(0, 1), slice(8, 9))


def test_the_box_is_deepbets_to_the_voxel() -> None:
    reference = deepbet.BrainExtraction.__new__(deepbet.BrainExtraction)
    rng = np.random.default_rng(0)
    for _ in range(60):
        start = rng.integers(0, 60, 3)
        stop = start + rng.integers(30, 68, 3)
        rough = np.zeros((128,) * 3, dtype=bool)
        rough[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
        shape = tuple(int(n) for n in rng.integers(60, 320, 3))
        wanted = reference.get_bbox_with_margin(torch.from_numpy(rough).float(), shape, 0.1)
        got = stage._box(rough, shape)
        assert [(s.start, s.stop) for s in got] == [(s.start, s.stop) for s in wanted]


@pytest.mark.parametrize("shape", [(61, 70, 53), (96, 40, 128)])
def test_the_whole_is_deepbets_with_stand_in_networks(shape: tuple[int, int, int]) -> None:
    reference = deepbet.BrainExtraction.__new__(deepbet.BrainExtraction)
    reference.model = reference.bbox_model = BrightNetwork()
    head = phantom(shape)
    head[0, 0, 0] = np.nan
    wanted = reference.run(nib.Nifti1Image(head, np.eye(4)))[1].get_fdata() > 0
    mask = strip(head, BrightNets())
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, wanted)
    assert 0.05 < mask.mean() < 0.2


def test_the_remnant_goes_and_the_hole_closes() -> None:
    mask = strip(phantom((64, 64, 64)), BrightNets())
    assert mask[35, 32, 38]
    assert not mask[:10, :10, :10].any()


@pytest.mark.parametrize(
    "head",
    [
        np.zeros((40, 40, 40), np.float32),
        np.full((40, 40, 40), 7, np.float32),
        np.pad(np.full((1, 1, 1), 9, np.float32), 25),
    ],
    ids=["zeros", "constant", "one voxel"],
)
def test_no_brain_is_said_in_a_sentence(head: np.ndarray) -> None:
    with pytest.raises(PreprocessingError, match="No brain was found"):
        strip(head, BrightNets())


def test_networks_that_find_nothing_are_no_brain() -> None:
    class Nothing(BrightNets):
        def segment(self, volume: np.ndarray) -> np.ndarray:
            return np.zeros_like(volume)

    with pytest.raises(PreprocessingError, match="No brain was found"):
        strip(phantom((50, 50, 50)), Nothing())


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle, in memory only, of the exported networks."""
    pytest.importorskip("onnx")
    pytest.importorskip("openvino")
    from export.parts.strip import export_strip

    folder = tmp_path_factory.mktemp("strip")
    export_strip(folder)
    return Bundle(folder, bundles.open().manifest, "")


def test_networks_open_for_the_with_block_only(bundle: Bundle) -> None:
    volume = np.full((128,) * 3, 0.449, np.float32)
    nets = StripNets(bundle)
    with nets:
        probability = nets.locate(volume)
        assert probability.shape == volume.shape
        assert 0 <= probability.min() <= probability.max() <= 1
    with pytest.raises(RuntimeError, match="with StripNets"):
        nets.locate(volume)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "raw/sub-01_T1w.nii.gz",
        "raw/pumi_sub-001_T1w.nii.gz",
        "ixi2mm/IXI012-HH-1211-T1_ds.nii.gz",
        "cohort/sub-21_T1w.nii.gz",  # the least alike of all heads measured
        "cohort/sub-42_T1w.nii.gz",  # its box falls on a half-integer
    ],
)
def test_real_heads_get_deepbets_mask(data_dir: Path, bundle: Bundle, name: str) -> None:
    image = nib.as_closest_canonical(nib.load(data_dir / name))
    reference = deepbet.BrainExtraction(no_gpu=True)
    wanted = reference.run(image)[1].get_fdata() > 0
    with StripNets(bundle) as nets:
        mask = strip(np.asarray(image.dataobj, dtype=np.float32), nets)
    assert 2 * (mask & wanted).sum() >= 0.999 * (mask.sum() + wanted.sum())
