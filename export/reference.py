"""What torch computes in float32 on given volumes: the reference of every gate."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from numpy.typing import NDArray

from export.graph import INPUTS, BundleGraph
from fmtool import space
from fmtool.errors import ParityError

_SHIFT = (4, -6, 5)
_GAMMA = 2.0


def template_volume(template: Path | bytes) -> Volume:
    """The template on the crop as float32 (z, y, x), and where it is above zero."""
    raw = template if isinstance(template, bytes) else template.read_bytes()
    image = nib.Nifti1Image.from_bytes(gzip.decompress(raw))
    crop = np.ascontiguousarray(space.to_crop(np.asarray(image.dataobj)), dtype=np.float32)
    return crop, (crop > 0).astype(np.float32)


def variant(volume: Volume) -> Volume:
    """The same brain some voxels away and with another contrast.

    Two rows of a batch that are the same would hide it if they changed places. A contrast that is
    linear in the old one would be the same volume to the model, whose z-score removes it.
    """
    intensities, mask = (np.roll(array, _SHIFT, axis=(0, 1, 2)) for array in volume)
    scale = max(float(intensities.max()), 1e-6)
    curved = scale * (intensities.clip(0.0) / scale) ** _GAMMA
    return curved.astype(np.float32), mask


Array = NDArray[np.float32]
Volume = tuple[Array, Array]
"""A prepared volume and its mask, each (z, y, x) on the model's crop."""

Outputs = dict[str, Array]
"""Each output by name, without its batch axis."""


def feed(volumes: Sequence[Volume]) -> dict[str, Array]:
    """Volumes and masks as one batch, float32 [B, 1, z, y, x], by the graph's input names."""
    pairs = zip(*volumes, strict=True)
    return {
        name: np.stack([np.asarray(array, np.float32)[None] for array in arrays])
        for name, arrays in zip(INPUTS, pairs, strict=True)
    }


def reference(graph: BundleGraph, volumes: Sequence[Volume]) -> list[Outputs]:
    """Each volume's outputs in torch, float32, one volume at a time: a batch would take GBs each.

    Raises:
        ParityError: if torch's own output is not finite: nothing can be compared with that.
    """
    found = []
    with torch.inference_mode():
        for number, volume in enumerate(volumes):
            inputs = (torch.from_numpy(array) for array in feed([volume]).values())
            outputs = (output.numpy()[0] for output in graph(*inputs))
            found.append(dict(zip(graph.output_names, outputs, strict=True)))
            for name, output in found[-1].items():
                if not np.isfinite(output).all():
                    raise ParityError(
                        f"torch's own output {name!r} is not finite on volume {number + 1} of "
                        f"{len(volumes)}: check the checkpoint and the volume; nothing was written"
                    )
    return found
