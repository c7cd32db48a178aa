"""Telling a skull-stripped head from a whole one, on phantoms and on every real head."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from runtime.preprocess.strip import brain_mask_of_stripped, is_stripped

SIZE = 80


def shells() -> np.ndarray:
    """Distance from the middle of an ellipsoid: below 1 is inside the skin; (80, 80, 80)."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, SIZE),) * 3, indexing="ij")
    return np.sqrt((x / 0.75) ** 2 + (y / 0.85) ** 2 + (z / 0.8) ** 2)


def brain(seed: int = 0) -> np.ndarray:
    """Grey matter around white matter, zero outside, with noise inside."""
    r = shells()
    head = np.where(r < 0.84, 60.0, 0.0)
    head[r < 0.65] = 100.0
    noise = np.random.default_rng(seed).normal(0, 6, r.shape)
    return np.where(head > 0, head + noise, 0).astype(np.float32)


def whole(seed: int = 0) -> np.ndarray:
    """The brain in a dark skull and a bright scalp, on an exact zero background."""
    r = shells()
    head = brain(seed)
    head[(r >= 0.84) & (r < 0.92)] = 15.0
    head[(r >= 0.92) & (r < 1)] = 90.0
    return head


def noisy(head: np.ndarray) -> np.ndarray:
    noise = np.abs(np.random.default_rng(1).normal(0, 3, head.shape)).astype(np.float32)
    return np.where(head == 0, noise, head)


def test_a_brain_alone_is_stripped() -> None:
    assert is_stripped(brain())


def test_the_background_need_not_be_zero() -> None:
    assert is_stripped(brain() - 1000)
    outside = brain()
    outside[outside == 0] = np.nan
    assert is_stripped(outside)


def test_a_whole_head_is_not_even_on_an_exact_background() -> None:
    assert not is_stripped(whole())


def test_a_whole_head_whose_skull_is_zero_too_is_not() -> None:
    head = whole()
    head[head == 15.0] = 0.0
    head[38:42, :, :40][shells()[38:42, :, :40] < 0.95] = 90.0  # joined to the scalp somewhere
    assert not is_stripped(head)


def test_a_whole_head_in_noise_is_not() -> None:
    assert not is_stripped(noisy(whole()))


def test_noise_padded_with_zeros_is_not() -> None:
    assert not is_stripped(np.pad(noisy(whole()), 12))


@pytest.mark.parametrize("value", [0, 5])
def test_nothing_is_not(value: int) -> None:
    assert not is_stripped(np.full((30, 30, 30), value, np.float32))


def test_orientation_and_spacing_do_not_matter() -> None:
    for head, answer in ((brain(), True), (whole(), False)):
        assert is_stripped(head.transpose(2, 0, 1)[::-1]) is answer
        assert is_stripped(np.repeat(head, 2, axis=0)) is answer


class Ellipsoid:
    """Stands in for the networks: brain is whatever lies in an ellipsoid of their field of view."""

    def locate(self, volume: np.ndarray) -> np.ndarray:
        return self._ellipsoid(volume.shape[0], 0.75)

    def segment(self, volume: np.ndarray) -> np.ndarray:
        return self._ellipsoid(volume.shape[0], 0.8)

    @staticmethod
    def _ellipsoid(size: int, radius: float) -> np.ndarray:
        axis = np.linspace(-1, 1, size) ** 2
        inside = axis[:, None, None] + axis[None, :, None] + axis[None, None, :] < radius**2
        return inside.astype(np.float32)


def test_the_mask_is_brain_by_both_outlines() -> None:
    head = brain()
    head[30:50, 30:50, :14] = 80  # a remnant of the neck, in one piece with the brain
    head[:, :, 60:] = 0  # cut away by the strip
    mask, left_out = brain_mask_of_stripped(head, Ellipsoid())
    assert not mask[:, :, 60:].any()
    assert not mask[30:50, 30:50, :4].any()
    assert mask[40, 40, 40]
    assert mask.sum() > 0.7 * np.count_nonzero(head)
    assert 5 < left_out < 40


@pytest.mark.data
@pytest.mark.slow
def test_every_real_head_is_told(data_dir: Path) -> None:
    stripped = [*data_dir.glob("cohort/*_T1w.nii.gz"), data_dir / "bad/infant_stripped_T1w.nii.gz"]
    heads = [*data_dir.glob("raw/*_T1w.nii.gz"), *data_dir.glob("ixi2mm/*_ds.nii.gz")]
    assert stripped
    assert heads
    wrong = [
        path.name
        for paths, answer in ((stripped, True), (heads, False))
        for path in paths
        if is_stripped(np.asarray(nib.load(path).dataobj, dtype=np.float32)) is not answer
    ]
    assert wrong == []


def test_nilearns_template_is_a_brain_alone() -> None:
    nilearn = pytest.importorskip("nilearn")
    folder = Path(nilearn.__file__).parent / "datasets" / "data"
    path = folder / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    assert is_stripped(np.asarray(nib.load(path).dataobj, dtype=np.float32))
