"""What an importer makes of a checkpoint's tensors."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from training.encoders.architecture import Architecture


@dataclass(frozen=True)
class Recognised:
    """An encoder that was recognised.

    Attributes:
        architecture: what it is.
        tensors: its weights, by the names of what `architecture` builds.
        dropped: names of the layers after the embedding.
        remarks: a sentence each on what was assumed, and how its input differs from fmtool's.
    """

    architecture: Architecture
    tensors: dict[str, Tensor]
    dropped: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
