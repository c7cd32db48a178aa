"""What is told of a checkpoint beside its weights, and whether it gives the output it should."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from fmtool.errors import InputError
from training.encoders.layout import Transformer
from training.encoders.own_input import OwnInput

TOLERANCE = 1e-3
"""Of the reference embedding's norm; another stride or pooling moves it by more than half of it."""


@dataclass(frozen=True)
class Told:
    """What weights do not tell.

    Attributes:
        stem_stride: of a residual network's first convolution.
        max_pool: whether max pooling follows it.
        prefix: of the encoder's names, where a file holds several networks.
        own: the input it was trained on, where that is not fmtool's.
        transformer: the layout of one, whose heads and patch its weights do not tell.
        reference: an .npz with `volume` (z, y, x), a network's input, and `embedding` (F), which it
            must give.
    """

    stem_stride: int | None = None
    max_pool: bool | None = None
    prefix: str | None = None
    reference: Path | None = None
    own: OwnInput | None = None
    transformer: Transformer | None = None

    @property
    def said(self) -> str:
        """What was told of the input, in words; nothing if nothing was."""
        if self.own is None:
            return ""
        size = "x".join(map(str, self.own.shape))
        return f"input was told: {size} voxels, {self.own.intensities}, from fmtool's crop"

    @property
    def layout(self) -> bool:
        """Whether anything is told of the network or its place."""
        return (self.stem_stride, self.max_pool, self.prefix) != (None, None, None)

    def verify(self, encoder: nn.Module, where: str) -> None:
        """Compare an encoder in eval mode with the reference, if there is one.

        Raises:
            InputError: if it cannot be read, or the encoder's embedding is another.
        """
        if self.reference is None:
            return
        try:
            with np.load(self.reference, allow_pickle=False) as content:
                volume, wanted = (
                    np.asarray(content[name], dtype=np.float32) for name in ("volume", "embedding")
                )
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{self.reference} is no .npz with volume and embedding ({error}); write one with "
                "numpy.savez"
            ) from None
        if volume.ndim != 3 or not volume.size:
            raise InputError(f"{self.reference}: volume has shape {volume.shape}, not (z, y, x)")
        with torch.inference_mode():
            found = encoder(torch.from_numpy(volume)[None, None])[0].numpy()
        if found.shape != wanted.shape:
            raise InputError(
                f"{where} gives {found.size} features, {self.reference} has {wanted.size}"
            )
        apart = float(np.linalg.norm(found - wanted)) / max(float(np.linalg.norm(wanted)), 1e-12)
        if not apart <= TOLERANCE:
            raise InputError(
                f"{where} gives an embedding that is {apart:.1%} of its norm from that in "
                f"{self.reference}: its stem's stride, its pooling or its weights are others"
            )


NOTHING = Told()
