"""From a subject and an acquisition to a scan: a skull-stripped, T1w-like volume.

tissue intensities -> deformed -> blur -> gamma -> bias field -> Rician noise -> strip
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional

from training.synth import deformation
from training.synth.acquisition import Acquisition
from training.synth.anatomy import Anatomy
from training.synth.subject import Subject

Array = NDArray[np.float32]

_LATTICE_MM = 4.0
_BIAS_STEP = 2  # lattice steps between the bias field's own nodes
_WHITE = 160.0  # of 255: room for the bias field above it


@dataclass(frozen=True)
class RenderGrid:
    """The voxels of a scan.

    Attributes:
        shape: (x, y, z).
        affine: 4x4, voxel -> scan RAS mm; the axes run along R, A, S and are equally fine.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    @property
    def spacing(self) -> float:
        """The voxels' size in mm."""
        return float(self.affine[0, 0])


@dataclass(frozen=True)
class SyntheticHead:
    """A rendered scan.

    Attributes:
        voxels: uint8 (x, y, z), at least 1 in the brain, 0 outside.
        mask: bool, same shape: the brain, ventricles and sulci included.
        truth: volumes in mL without blur, noise or strip: "brain_ml" (with the fluid around
            the tissue), "tissue_ml", "ventricles_ml".
    """

    voxels: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    truth: dict[str, float]


def render(
    anatomy: Anatomy, subject: Subject, scan: Acquisition, frame: RenderGrid, rng: Generator
) -> SyntheticHead:
    """Render a scan of a subject; `rng` makes the bias field and the noise."""
    box, index = _lattice(anatomy, subject, scan, frame)
    image, below, tissue, ventricles = _warp(_parts(anatomy, subject, scan), index, box, frame)
    millilitres = frame.spacing**3 / 1000.0
    mask = below >= scan.strip_mm
    truth = {
        "brain_ml": float((below >= 0.0).sum()) * millilitres,
        "tissue_ml": float(tissue.sum(dtype=np.float64)) * millilitres,
        "ventricles_ml": float(ventricles.sum(dtype=np.float64)) * millilitres,
    }
    image = ndimage.gaussian_filter(image, scan.blur_mm / frame.spacing, truncate=3.0)
    image = np.clip(image, 0.0, None) ** np.float32(scan.gamma)
    image *= _bias(image.shape, scan, frame, rng)
    image = _rician(image[mask], scan.noise, rng)
    voxels, whole = np.zeros(frame.shape, np.uint8), np.zeros(frame.shape, np.bool_)
    whole[box] = mask
    voxels[whole] = np.clip(np.rint(_WHITE * image), 1, 255).astype(np.uint8)
    return SyntheticHead(voxels, whole, truth)


def _parts(anatomy: Anatomy, subject: Subject, scan: Acquisition) -> Array:
    """(4, x, y, z) of the average head: intensity, mm below the hull, tissue, ventricles' fluid."""
    hull = np.clip(0.5 + anatomy.below_hull, 0.0, 1.0)
    tissue = np.clip(0.5 + anatomy.depth - np.float32(subject.thinning_mm), 0.0, 1.0)
    tissue = np.minimum(tissue, hull)
    fluid = hull - tissue
    solid = 1.0 - np.float32(1.0 - scan.grey) * anatomy.grey
    image = tissue * solid + np.float32(scan.fluid) * fluid
    return np.stack((image, anatomy.below_hull, tissue, fluid * anatomy.ventricles))


def _step(frame: RenderGrid) -> int:
    return max(1, round(_LATTICE_MM / frame.spacing))


def _lattice(
    anatomy: Anatomy, subject: Subject, scan: Acquisition, frame: RenderGrid
) -> tuple[tuple[slice, ...], Array]:
    """The part of the scan that holds the head, and where its lattice's nodes come from."""
    step = _step(frame)
    nodes = [-(-(n - 1) // step) + 1 for n in frame.shape]
    voxel = np.stack(np.meshgrid(*(step * np.arange(n) for n in nodes), indexing="ij"))
    origin = frame.affine[:3, 3][:, None, None, None]
    index = deformation.source(frame.spacing * voxel + origin, anatomy, subject, scan.pose())
    last = np.array(anatomy.depth.shape)[:, None, None, None] - 1
    inside = np.nonzero(((index >= 0) & (index <= last)).all(axis=0))
    cut = [
        slice(max(found.min() - 1, 0), min(found.max() + 1, n - 1) + 1)
        for found, n in zip(inside, nodes, strict=True)
    ]
    box = tuple(
        slice(step * c.start, min(step * (c.stop - 1) + 1, n))
        for c, n in zip(cut, frame.shape, strict=True)
    )
    return box, index[:, cut[0], cut[1], cut[2]]


def _warp(parts: Array, index: Array, box: tuple[slice, ...], frame: RenderGrid) -> Array:
    """`parts` (C, x, y, z) at the places that the lattice says, trilinear: (C, *box)."""
    step = _step(frame)
    size = [step * (n - 1) + 1 for n in index.shape[1:]]
    length = torch.tensor(parts.shape[1:], dtype=torch.float32)[:, None, None, None]
    unit = 2.0 * torch.from_numpy(index) / (length - 1.0) - 1.0
    fine = functional.interpolate(unit[None], size, mode="trilinear", align_corners=True)[0]
    fine = fine[:, : box[0].stop - box[0].start, : box[1].stop - box[1].start]
    fine = fine[..., : box[2].stop - box[2].start]
    grid = fine.flip(0).permute(1, 2, 3, 0)[None]  # grid_sample wants the last axis first
    warped = functional.grid_sample(
        torch.from_numpy(parts)[None], grid, padding_mode="border", align_corners=True
    )
    return np.asarray(warped[0].numpy())


def _bias(shape: tuple[int, ...], scan: Acquisition, frame: RenderGrid, rng: Generator) -> Array:
    """exp(b), b a smooth Gaussian field of standard deviation `scan.bias`."""
    step = _BIAS_STEP * _step(frame)
    nodes = [n // step + 2 for n in shape]
    sigma = scan.bias_mm / (step * frame.spacing)
    # Wider than the head and cut: a filter's edges would hold most of the field.
    pad = int(np.ceil(2.0 * sigma))
    white = rng.standard_normal([n + 2 * pad for n in nodes])
    smooth = ndimage.gaussian_filter(white, sigma)[pad:-pad, pad:-pad, pad:-pad]
    smooth = scan.bias * (smooth - smooth.mean()) / smooth.std()
    size = [step * (n - 1) + 1 for n in nodes]
    coarse = torch.from_numpy(smooth.astype(np.float32))[None, None]
    fine = functional.interpolate(coarse, size, mode="trilinear", align_corners=True)[0, 0]
    return np.asarray(fine[tuple(slice(n) for n in shape)].exp().numpy())


def _rician(signal: Array, noise: float, rng: Generator) -> Array:
    real, imaginary = rng.standard_normal((2, len(signal)), dtype=np.float32)
    return np.hypot(signal + np.float32(noise) * real, np.float32(noise) * imaginary)
