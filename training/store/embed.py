"""Embeddings of prepared volumes by a frozen encoder, computed once."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fmtool.progress import scans
from training.augment.whole import Shape, whole
from training.cohort.prepared import PreparedScan
from training.encoders import digest
from training.store import kept


def embeddings(
    encoder: nn.Module,
    entries: Sequence[PreparedScan],
    cache: str | os.PathLike[str],
    input_shape: Shape | None = None,
) -> NDArray[np.float32]:
    """Float32 (N, F), in the order of `entries`.

    A copy of the encoder runs in eval mode, so that BatchNorm uses its stored statistics and one
    scan's embedding does not depend on another's.

    Args:
        encoder: left as it is.
        entries: prepared scans, as a store has them.
        cache: a folder; what it holds of this encoder and these volumes is not computed again.
        input_shape: (z, y, x) voxels that scans are resized to; None leaves them as they are.
    """
    size = "" if input_shape is None else "-" + "x".join(map(str, input_shape))
    folder = Path(cache) / f"{digest(encoder)}{size}"
    folder.mkdir(parents=True, exist_ok=True)
    frozen = copy.deepcopy(encoder).eval()
    frozen.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    found = []
    with scans(len(entries), "Embedding") as advance:
        for entry in entries:
            found.append(_embedding(frozen, entry, folder, input_shape))
            advance()
    return np.stack(found)


def _embedding(
    encoder: nn.Module, entry: PreparedScan, folder: Path, shape: Shape | None
) -> NDArray[np.float32]:
    def embedding() -> NDArray[np.float32]:
        device = next(encoder.parameters()).device
        volume = torch.from_numpy(np.array(entry.volume)).to(device)
        mask = torch.from_numpy(np.array(entry.mask)).to(device)
        with torch.inference_mode():
            found = encoder(whole(volume, mask, shape)[None, None])[0].float().cpu().numpy()
        return np.asarray(found)

    made = kept.array(folder / f"{entry.facts['digest']}.npy", embedding)
    return np.asarray(made, dtype=np.float32)
