"""Images of poor quality: noise, motion, thick slices, blur, clipping."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from benchmarks.shared.spoiled.contrast import Mask, Random, Volume
from runtime.scan import Scan


def noisy(scan: Scan, brain: Mask, random: Random) -> Scan:
    """Rician noise of a quarter of white matter's intensity."""
    sigma = 0.25 * np.quantile(scan.array[brain], 0.85)
    real, imaginary = random.normal(0.0, sigma, (2, *scan.array.shape))
    stripped = scan.array == 0
    array = np.where(stripped, 0.0, np.hypot(scan.array + real, imaginary))
    return replace(scan, array=np.asarray(array, dtype=np.float32))


def moved(scan: Scan, brain: Mask, random: Random) -> Scan:
    """Three lasting nods of 3 to 6 degrees and 3 to 6 mm while k-space was filled along y."""
    spectrum = np.fft.fftshift(np.fft.fft(scan.array, axis=1), axes=1)
    lines = scan.array.shape[1]
    for _ in range(3):
        start = int(random.uniform(0.3, 0.6) * lines)
        stop = start + int(random.uniform(0.15, 0.3) * lines)
        posed = _nodded(scan, random)
        spectrum[:, start:stop] = np.fft.fftshift(np.fft.fft(posed, axis=1), axes=1)[:, start:stop]
    array = np.abs(np.fft.ifft(np.fft.ifftshift(spectrum, axes=1), axis=1))
    array[scan.array == 0] = 0.0
    return replace(scan, array=array.astype(np.float32))


def thick(scan: Scan, brain: Mask, random: Random) -> Scan:
    """Slices of 6 mm, stored as such."""
    array, step = _slabs(scan)
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, 2] * (step - 1) / 2.0
    affine[:3, 2] *= step
    spacing = [*scan.facts["spacing"][:2], scan.facts["spacing"][2] * step]
    return replace(scan, array=array, affine=affine, facts={**scan.facts, "spacing": spacing})


def hidden_thick(scan: Scan, brain: Mask, random: Random) -> Scan:
    """The same slices interpolated to the old grid, so that the header looks fine."""
    array, step = _slabs(scan)
    at = (np.arange(scan.array.shape[2]) - (step - 1) / 2.0) / step
    below = np.clip(np.floor(at).astype(int), 0, array.shape[2] - 1)
    above = np.minimum(below + 1, array.shape[2] - 1)
    share = np.clip(at - below, 0.0, 1.0).astype(np.float32)
    return replace(scan, array=array[..., below] * (1 - share) + array[..., above] * share)


def blurred(scan: Scan, brain: Mask, random: Random) -> Scan:
    """Smoothed by 6 mm (full width at half maximum)."""
    sigma = 6.0 / 2.355 / np.linalg.norm(scan.affine[:3, :3], axis=0)
    return replace(scan, array=ndimage.gaussian_filter(scan.array, sigma))


def clipped(scan: Scan, brain: Mask, random: Random) -> Scan:
    """Saturated at grey matter's intensity."""
    top = np.quantile(scan.array[brain], 0.25)
    return replace(scan, array=np.minimum(scan.array, np.float32(top)))


def spiked(scan: Scan, brain: Mask, random: Random) -> Scan:
    """A coil's hot spot, five times too bright, and a metal's void, 32 mm in radius each."""
    array: Volume = scan.array.copy()
    points = np.argwhere(brain)
    spacing = np.linalg.norm(scan.affine[:3, :3], axis=0)
    for factor in (5.0, 0.02):
        centre = points[random.integers(len(points))]
        grids = np.ogrid[tuple(map(slice, array.shape))]
        squared = sum(((g - c) * s) ** 2 for g, c, s in zip(grids, centre, spacing, strict=True))
        array[squared < 32.0**2] *= factor
    return replace(scan, array=array)


def _nodded(scan: Scan, random: Random) -> Volume:
    angle = np.deg2rad(random.uniform(3.0, 6.0) * random.choice([-1, 1]))
    spacing = np.linalg.norm(scan.affine[:3, :3], axis=0)
    turn = np.eye(3)
    turn[1:, 1:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix = turn * spacing / spacing[:, None]
    centre = (np.array(scan.array.shape) - 1) / 2.0
    shift = centre - matrix @ centre
    shift[1:] += random.uniform(3.0, 6.0, 2) / spacing[1:]
    moved: Volume = ndimage.affine_transform(scan.array, matrix, shift, order=1)
    return moved


def _slabs(scan: Scan) -> tuple[Volume, int]:
    step = max(2, round(6.0 / scan.facts["spacing"][2]))
    count = scan.array.shape[2] // step
    cut = scan.array[..., : count * step]
    return cut.reshape(*cut.shape[:2], count, step).mean(axis=3), step
