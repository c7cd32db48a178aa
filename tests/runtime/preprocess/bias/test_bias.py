from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.bias import itk_n4, known_field
from fmtool.errors import PreprocessingError
from runtime.preprocess import bias
from runtime.preprocess.bias import samples

Volume = NDArray[np.float32]
Mask = NDArray[np.bool_]

_SHAPE = (80, 96, 84)


def grid(shape: tuple[int, ...]) -> list[NDArray[np.float64]]:
    """Coordinates from -1 to 1 along each axis."""
    return np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij", sparse=True)


@pytest.fixture(scope="module")
def phantom() -> tuple[Volume, Mask]:
    """A head of three tissues, folded like a cortex, noisy, and without a bias field."""
    x, y, z = grid(_SHAPE)
    radius = np.sqrt((x / 0.75) ** 2 + (y / 0.85) ** 2 + (z / 0.8) ** 2)
    folds = 0.08 * np.sin(14 * x) * np.sin(12 * y) * np.sin(13 * z)
    volume = np.select([radius < 0.25, radius + folds < 0.75, radius < 1.0], [400.0, 1000.0, 700.0])
    noise = np.random.default_rng(0).normal(0.0, 20.0, _SHAPE)
    return np.maximum(volume + noise, 0.0).astype(np.float32), radius < 1.0


def residual(found: Volume, known: Volume, mask: Mask) -> float:
    return float((found - known)[mask].std())


def itk_field(volume: Volume, mask: Mask) -> Volume:
    pytest.importorskip("SimpleITK")
    return itk_n4(volume, mask)


@pytest.mark.parametrize("frame", ["scan", "head"])
def test_recovers_a_known_field(phantom: tuple[Volume, Mask], frame: bias.Frame) -> None:
    volume, mask = phantom
    known = known_field(_SHAPE)
    found = bias.n4(volume * np.exp(known), mask, frame=frame)
    assert found.shape == _SHAPE
    assert found.dtype == np.float32
    assert residual(found, known, mask) < 0.25 * known[mask].std()


def test_corrected_tissues_are_even(phantom: tuple[Volume, Mask]) -> None:
    volume, mask = phantom
    biased = volume * np.exp(known_field(_SHAPE))
    corrected = bias.correct(biased, mask)
    white = mask & (volume > 900) & (volume < 1100)

    def variation(values: Volume) -> float:
        return float(values[white].std() / values[white].mean())

    assert variation(corrected) < variation(volume) + 0.25 * (variation(biased) - variation(volume))


def test_agrees_with_simpleitk(phantom: tuple[Volume, Mask]) -> None:
    volume, mask = phantom
    known = known_field(_SHAPE)
    biased = volume * np.exp(known)
    ours, theirs = bias.n4(biased, mask), itk_field(biased, mask)
    assert np.corrcoef(ours[mask], theirs[mask])[0, 1] > 0.999
    assert residual(ours, known, mask) <= 1.25 * residual(theirs, known, mask)


def test_corrects_the_whole_volume_by_the_field(phantom: tuple[Volume, Mask]) -> None:
    volume, mask = phantom
    field = bias.n4(volume, mask)
    np.testing.assert_allclose(bias.correct(volume, mask), volume / np.exp(field), rtol=1e-5)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_field_lies_in_memory_like_the_volume(phantom: tuple[Volume, Mask], order: str) -> None:
    volume, mask = phantom
    field = bias.n4(np.array(volume, order=order), mask)
    assert field.flags.c_contiguous == (order == "C")
    np.testing.assert_allclose(field, bias.n4(volume, mask), atol=1e-5)


def test_mirrored_volumes_give_mirrored_fields(phantom: tuple[Volume, Mask]) -> None:
    volume, mask = phantom
    biased = volume * np.exp(known_field(_SHAPE))
    mirrored = bias.n4(biased[::-1], mask[::-1])[::-1]
    # Not the same voxels are sampled, so only the field they belong to is the same.
    assert np.corrcoef(mirrored[mask], bias.n4(biased, mask)[mask])[0, 1] > 0.99
    mirrored = bias.n4(biased[::-1], mask[::-1], frame="head")[::-1]
    np.testing.assert_allclose(mirrored[mask], bias.n4(biased, mask, frame="head")[mask], atol=1e-4)


@pytest.mark.parametrize("frame", ["scan", "head"])
def test_voxels_without_a_positive_intensity_do_not_count(
    phantom: tuple[Volume, Mask], frame: bias.Frame
) -> None:
    volume, mask = (a.copy() for a in phantom)
    kind = np.random.default_rng(1).integers(0, 40, _SHAPE)
    for i, value in enumerate((0.0, -5.0, np.nan, np.inf)):
        volume[kind == i] = value
    bad = kind < 4
    found = bias.n4(volume, mask, frame=frame)
    np.testing.assert_array_equal(found, bias.n4(volume, mask & ~bad, frame=frame))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("scale", [1e-3, 1e4])
def test_the_intensity_unit_does_not_matter(phantom: tuple[Volume, Mask], scale: float) -> None:
    volume, mask = phantom
    field = bias.n4(volume * np.float32(scale), mask)
    np.testing.assert_allclose(field, bias.n4(volume, mask), atol=1e-3)


@pytest.mark.parametrize("frame", ["scan", "head"])
def test_an_empty_mask_is_refused(phantom: tuple[Volume, Mask], frame: bias.Frame) -> None:
    volume, mask = phantom
    with pytest.raises(PreprocessingError, match="no voxel with a positive intensity"):
        bias.n4(volume, np.zeros_like(mask), frame=frame)
    with pytest.raises(PreprocessingError, match="no voxel with a positive intensity"):
        bias.n4(np.zeros_like(volume), mask, frame=frame)


def test_a_mask_of_bytes_is_a_mask(phantom: tuple[Volume, Mask]) -> None:
    volume, mask = phantom
    labels = np.where(mask, np.uint8(2), np.uint8(0))
    np.testing.assert_array_equal(bias.n4(volume, labels), bias.n4(volume, mask))


def test_shapes_that_differ_are_refused(phantom: tuple[Volume, Mask]) -> None:
    volume, mask = phantom
    with pytest.raises(ValueError, match="alike"):
        bias.n4(volume, mask[1:])


@pytest.mark.parametrize("frame", ["scan", "head"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_tiny_mask_gives_a_finite_small_field(
    phantom: tuple[Volume, Mask], size: int, frame: bias.Frame
) -> None:
    volume, mask = phantom
    tiny = np.zeros_like(mask)
    tiny[41 : 41 + size, 49 : 49 + size, 43 : 43 + size] = True
    field = bias.n4(volume, tiny, frame=frame)
    assert np.isfinite(field).all()
    assert np.abs(field).max() < 1.0


@pytest.mark.parametrize("frame", ["scan", "head"])
def test_a_constant_intensity_has_no_field(phantom: tuple[Volume, Mask], frame: bias.Frame) -> None:
    _, mask = phantom
    field = bias.n4(np.full(_SHAPE, 300.0, np.float32), mask, frame=frame)
    np.testing.assert_allclose(field, 0.0, atol=1e-6)


def test_the_field_belongs_to_the_head_not_to_the_scan(phantom: tuple[Volume, Mask]) -> None:
    """Cropped at one end and padded at another, shifted by half a voxel: the field stays."""
    volume, mask = phantom
    biased = volume * np.exp(known_field(_SHAPE))
    field = bias.n4(biased, mask, frame="head")
    part = (slice(4, None), slice(None), slice(0, 80))
    padding = [(0, 9), (5, 0), (0, 0)]
    other = bias.n4(np.pad(biased[part], padding), np.pad(mask[part], padding), frame="head")[
        :-9, 5:
    ]
    brain = mask[part]
    np.testing.assert_allclose((other - field[part])[brain], 0.0, atol=1e-4)

    between = ndimage.shift(biased, (0.5, 0.5, 0.5), order=5, mode="nearest")
    inside = ndimage.shift(mask.astype(np.float32), (0.5, 0.5, 0.5), order=1) >= 0.5
    shifted = bias.n4(between, inside, frame="head")
    deep = ndimage.binary_erosion(mask, iterations=2)
    moved = (shifted - field)[deep]
    assert moved.std() < 0.1 * field[deep].std()


def test_thick_slices_have_the_same_field(phantom: tuple[Volume, Mask]) -> None:
    volume, mask = phantom
    biased = volume * np.exp(known_field(_SHAPE))
    thick, inside = biased.reshape(*_SHAPE[:2], -1, 4).mean(axis=3), mask[..., 1::4]
    field = bias.n4(thick, inside, (1.0, 1.0, 4.0), "head")
    expected = bias.n4(biased, mask, frame="head")[..., 1::4]
    assert np.corrcoef(field[inside], expected[inside])[0, 1] > 0.98


@pytest.mark.parametrize(
    ("spacing", "factors"),
    [
        ((1.0, 1.0, 1.0), (4, 4, 4)),
        ((0.87, 0.87, 1.0), (4, 4, 4)),
        ((2.0, 2.0, 2.0), (4, 4, 4)),
        ((0.5, 0.5, 0.5), (6, 6, 6)),
        ((0.9, 0.9, 5.0), (4, 4, 2)),
        ((1.0, 1.0, 10.0), (4, 4, 1)),
    ],
)
def test_fine_voxels_are_sampled_wider_and_thick_slices_closer(
    spacing: bias.Spacing, factors: tuple[int, ...]
) -> None:
    assert samples._shrink_factors(spacing)[0] == factors


@pytest.mark.parametrize("size", [3, 7, 84, 181, 192, 219])
def test_samples_the_voxels_that_itk_samples(size: int) -> None:
    sitk = pytest.importorskip("SimpleITK")
    ramp = np.broadcast_to(np.arange(size, dtype=np.float32), (8, 8, size))
    shrunk = sitk.Shrink(sitk.GetImageFromArray(np.ascontiguousarray(ramp)), [4] * 3)
    np.testing.assert_array_equal(samples._centred(size, 4), sitk.GetArrayFromImage(shrunk)[0, 0])


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("subject", ["IXI012-HH-1211", "IXI033-HH-1259"])
def test_agrees_with_simpleitk_on_real_heads(data_dir: Path, subject: str) -> None:
    head = data_dir / "ixi2mm" / f"{subject}-T1_ds.nii.gz"
    image = nib.load(head)
    volume = np.asarray(image.dataobj, dtype=np.float32)
    mask = np.asarray(nib.load(str(head).replace("_ds.", "_ds_DLMUSE.")).dataobj) > 0
    spacing = tuple(np.linalg.norm(image.affine[:3, :3], axis=0))
    ours, theirs = bias.n4(volume, mask, spacing), itk_field(volume, mask)
    assert np.corrcoef(ours[mask], theirs[mask])[0, 1] > 0.99

    known = known_field(volume.shape)
    biased = volume / np.exp(theirs) * np.exp(known)
    limit = 1.25 * residual(itk_field(biased, mask), known, mask)
    assert residual(bias.n4(biased, mask, spacing), known, mask) <= limit
